#include "gradwire/statistics.h"

#include "compact.h"
#include "float_environment.h"
#include "gradwire/magnitude.h"
#include "radix.h"
#include "sources.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// With tables for 18 bits the second digit is the last one; below this length clearing them would
// take longer than a third read.
constexpr std::uint64_t kWide = std::uint64_t{1} << 20;
constexpr Digit kRest = {0, 18};

// Calls use(lanes) for all of x; lanes beyond its end are zero.
template <typename T, typename Use>
GRADWIRE_SIMD void for_all_lanes(const T* x, std::uint64_t n, Use use) noexcept {
    std::uint64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        use(load(x + i));
    }
    if (i < n) {
        use(load_first(x + i, n - i));
    }
}

template <typename T>
GRADWIRE_SIMD Words largest_lanes(const T* x, std::uint64_t n) noexcept {
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
    return larger(larger(largest[0], largest[1]), larger(largest[2], largest[3]));
}

struct Lanes {
    double absolute[kLanes];
    double squares[kLanes];
};

// Lane l of the result is the sum of the elements l, l + 16, ... of a tile.
template <typename T>
GRADWIRE_SIMD void add_tile(const T* x, std::uint64_t n, Lanes* lanes) noexcept {
    for_all_lanes(x, n, [&](Floats values) {
        float value[kLanes];
        store(value, values);
        for (std::uint64_t l = 0; l < kLanes; ++l) {
            const double wide = value[l];
            lanes->absolute[l] += __builtin_fabs(wide);
            lanes->squares[l] += wide * wide;
        }
    });
}

double add_pairwise(const double* lanes) noexcept {
    double half[kLanes / 2];
    for (std::uint64_t l = 0; l < kLanes / 2; ++l) {
        half[l] = lanes[2 * l] + lanes[2 * l + 1];
    }
    const double left = (half[0] + half[1]) + (half[2] + half[3]);
    const double right = (half[4] + half[5]) + (half[6] + half[7]);
    return left + right;
}

// Adds values pairwise, whatever their number: entry e of the stack is the sum of 2^e of them.
class PairwiseSum {
  public:
    void add(Sums sum) noexcept {
        unsigned entry = 0;
        for (std::uint64_t carry = count_; (carry & 1U) != 0; carry >>= 1, ++entry) {
            sum = plus(stack_[entry], sum);
        }
        stack_[entry] = sum;
        ++count_;
    }
    Sums total() const noexcept {
        Sums sum{0.0, 0.0};
        unsigned entry = 0;
        for (std::uint64_t rest = count_; rest != 0; rest >>= 1, ++entry) {
            if ((rest & 1U) != 0) {
                sum = plus(stack_[entry], sum);
            }
        }
        return sum;
    }

  private:
    static Sums plus(Sums a, Sums b) noexcept {
        return {a.absolute + b.absolute, a.squares + b.squares};
    }

    Sums stack_[64] = {};
    std::uint64_t count_ = 0;
};

// Adds the elements with magnitude >= floor to the counts of the first digit.
template <typename T>
void count_from(const T* x, std::uint64_t n, std::uint32_t floor, std::uint32_t* counts) noexcept {
    const Words limit = words(floor);
    for_all_lanes(x, n, [&](Floats values) {
        const Mask hits = at_least(values, limit);
        if (hits != 0) {
            std::uint32_t bins[kLanes];
            store(bins, shift_right<kDigits[0].shift>(magnitudes(values)));
            for (std::uint32_t rest = hits; rest != 0; rest &= rest - 1) {
                ++counts[bins[__builtin_ctz(rest)]];
            }
        }
    });
}

// The bin of the first digit that holds the k-th largest.
template <typename T>
Bin first_bin(const T* x, std::uint64_t n, std::uint64_t k, std::uint32_t* counts) noexcept {
    // The floor is the edge of a bin: if k elements reach it, all that matter are counted.
    const std::uint32_t floor = estimate_floor(Plain<T>{x}, n, k, counts);
    if (floor != 0) {
        reset_counts(counts);
        count_from(x, n, floor, counts);
        const Bin bin = find_bin(counts, kBins, k);
        if (bin.found) {
            return bin;
        }
    }
    reset_counts(counts);
    count_first_digit(Plain<T>{x}, 0, n, counts);
    add_up_tables(counts);
    return find_bin(counts, kBins, k);
}

}  // namespace

template <typename T>
bool finite_check(const T* x, std::uint64_t n) noexcept {
    const IeeeArithmetic ieee;
    for (std::uint64_t begin = 0; begin < n; begin += kTile) {
        const std::uint64_t size = n - begin < kTile ? n - begin : kTile;
        const Words largest = largest_lanes(x + begin, size);
        if (less(largest, words(kInfinityMagnitude)) != first_lanes(kLanes)) {
            return false;
        }
    }
    return true;
}

template <typename T>
float absmax(const T* x, std::uint64_t n) noexcept {
    const IeeeArithmetic ieee;
    std::uint32_t lanes[kLanes];
    store(lanes, largest_lanes(x, n));
    std::uint32_t largest = 0;
    for (const std::uint32_t lane : lanes) {
        largest = largest < lane ? lane : largest;
    }
    return bits_float(largest);
}

template <typename T>
Sums sums(const T* x, std::uint64_t n) noexcept {
    const IeeeArithmetic ieee;
    PairwiseSum total;
    for (std::uint64_t begin = 0; begin < n; begin += kTile) {
        Lanes lanes{};
        add_tile(x + begin, n - begin < kTile ? n - begin : kTile, &lanes);
        total.add({add_pairwise(lanes.absolute), add_pairwise(lanes.squares)});
    }
    return total.total();
}

template <typename T>
void histogram(const T* x, std::uint64_t n, unsigned shift, unsigned bits, std::uint32_t prefix,
               std::uint64_t* counts) noexcept {
    const IeeeArithmetic ieee;
    __builtin_memset(counts, 0, (std::uint64_t{1} << bits) * sizeof(std::uint64_t));
    count_digit(Plain<T>{x}, n, {shift, bits}, prefix, counts);
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
    template Sums sums(const T*, std::uint64_t) noexcept;                               \
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
