#include "gradwire/statistics.h"

#include "compact.h"
#include "gradwire/magnitude.h"
#include "parallel.h"
#include "radix.h"
#include "sources.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// With tables for 18 bits the second digit is the last one; below this length clearing them would
// take longer than a third read.
constexpr std::uint64_t kWide = std::uint64_t{1} << 20;
constexpr Digit kRest = {0, 18};

template <typename T>
std::uint32_t largest_magnitude(const T* x, std::uint64_t n) noexcept {
    // Several, so that one maximum does not wait for the last.
    Words largest[4] = {words(0), words(0), words(0), words(0)};
    std::uint64_t i = 0;
    for (; i + kBlock <= n; i += kBlock) {
        for (std::uint64_t part = 0; part < 4; ++part) {
            largest[part] = larger(largest[part], magnitudes(load(x + i + part * kLanes)));
        }
    }
    for_all_lanes(x + i, n - i,
                  [&](Floats rest) { largest[0] = larger(largest[0], magnitudes(rest)); });
    alignas(64) std::uint32_t lanes[kLanes];
    store(lanes, larger(larger(largest[0], largest[1]), larger(largest[2], largest[3])));
    std::uint32_t most = 0;
    for (const std::uint32_t lane : lanes) {
        most = most < lane ? lane : most;
    }
    return most;
}

// Adds the elements with magnitude >= floor to the counts of the first digit.
template <typename T>
void count_from(const T* x, std::uint64_t n, std::uint32_t floor, std::uint32_t* counts) noexcept {
    const Words limit = words(floor);
    for_all_lanes(x, n, [&](Floats values) {
        const Mask hits = at_least(values, limit);
        if (hits != 0) {
            alignas(64) std::uint32_t bins[kLanes];
            store(bins, shift_right<kDigits[0].shift>(magnitudes(values)));
            for (std::uint32_t rest = hits; rest != 0; rest &= rest - 1) {
                ++counts[bins[__builtin_ctz(rest)]];
            }
        }
    });
}

template <typename T>
void count_all_from(const T* x, std::uint64_t n, std::uint32_t floor,
                    std::uint32_t* counts) noexcept {
    const Parts parts = large_parts(n, kLanes);
    if (parts.count == 1) {
        count_from(x, n, floor, counts);
        return;
    }
    for_each_part(parts, [=](std::uint64_t part) {
        std::uint32_t own[kBins] = {};
        const std::uint64_t begin = parts.begin(part);
        count_from(x + begin, parts.end(part) - begin, floor, own);
        add_table(own, kBins, counts);
    });
}

// The bin of the first digit that holds the k-th largest.
template <typename T>
Bin first_bin(const T* x, std::uint64_t n, std::uint64_t k, std::uint32_t* counts) noexcept {
    // The floor is the edge of a bin: if k elements reach it, all that matter are counted.
    const std::uint32_t floor = estimate_floor(Plain<T>{x}, n, k, counts);
    if (floor != 0) {
        reset_counts(counts);
        count_all_from(x, n, floor, counts);
        const Bin bin = find_bin(counts, kBins, k);
        if (bin.found) {
            return bin;
        }
    }
    reset_counts(counts);
    count_all_first_digits(x, n, counts);
    return find_bin(counts, kBins, k);
}

}  // namespace

template <typename T>
bool finite_check(const T* x, std::uint64_t n) noexcept {
    const auto part = [=](std::uint64_t begin, std::uint64_t end) {
        for (; begin < end; begin += kTile) {
            const std::uint64_t size = end - begin < kTile ? end - begin : kTile;
            if (largest_magnitude(x + begin, size) >= kInfinityMagnitude) {
                return 1U;
            }
        }
        return 0U;
    };
    return largest_in_parallel(n, kTile, part) == 0;
}

template <typename T>
float absmax(const T* x, std::uint64_t n) noexcept {
    return bits_float(largest_in_parallel(n, kBlock, [=](std::uint64_t begin, std::uint64_t end) {
        return largest_magnitude(x + begin, end - begin);
    }));
}

template <typename T>
void histogram(const T* x, std::uint64_t n, unsigned shift, unsigned bits, std::uint32_t prefix,
               std::uint64_t* counts) noexcept {
    const IeeeArithmetic ieee;
    __builtin_memset(counts, 0, (std::uint64_t{1} << bits) * sizeof(std::uint64_t));
    if (shift + bits == kMagnitudeBits && bits <= kDigits[0].bits && n >= kBins) {
        if (prefix == 0) {
            count_all_leading_bits(x, n, {shift, bits}, counts);
        }
    } else {
        count_all_digits(x, n, {shift, bits}, prefix, counts);
    }
}

std::uint64_t kth_magnitude_workspace(std::uint64_t n) noexcept {
    constexpr std::uint64_t kRestBytes = (std::uint64_t{1} << kRest.bits) * sizeof(std::uint32_t);
    return n < kWide || kRestBytes < kCountsBytes ? kCountsBytes : kRestBytes;
}

template <typename T>
Status kth_magnitude(const T* x, std::uint64_t n, std::uint64_t k, Workspace workspace,
                     float* result) noexcept {
    const IeeeArithmetic ieee;
    if (workspace.bytes < kth_magnitude_workspace(n)) {
        return Status::workspace_too_small;
    }
    auto* const counts = static_cast<std::uint32_t*>(workspace.memory);
    if (n < kWide) {
        const Cut cut = narrow(x, n, k, 0, counts);
        *result = cut.enough ? bits_float(cut.low) : 0.0F;
        return Status::ok;
    }
    const Bin first = first_bin(x, n, k, counts);
    if (!first.found) {
        *result = 0.0F;
        return Status::ok;
    }
    __builtin_memset(counts, 0, kth_magnitude_workspace(n));
    count_digit(Plain<T>{x}, n, kRest, first.number, counts);
    const Bin last = find_bin(counts, std::uint64_t{1} << kRest.bits, k - first.above);
    *result = bits_float(first.number << kRest.bits | last.number);
    return Status::ok;
}

#define GRADWIRE_INSTANTIATE(T)                                                         \
    template bool finite_check(const T*, std::uint64_t) noexcept;                       \
    template float absmax(const T*, std::uint64_t) noexcept;                            \
    template void histogram(const T*, std::uint64_t, unsigned, unsigned, std::uint32_t, \
                            std::uint64_t*) noexcept;                                   \
    template Status kth_magnitude(const T*, std::uint64_t, std::uint64_t, Workspace,    \
                                  float*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
