#include "gradwire/histogram.h"

#include <cstring>

#include "compact.h"
#include "gradwire/magnitude.h"
#include "radix.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// Adds to counts those of x whose leading bits are `prefix`; in later digits they are rare.
template <typename Count>
void count_digit(const float* x, std::uint64_t n, Digit digit, std::uint32_t prefix,
                 Count* counts) noexcept {
    const unsigned above = digit.shift + digit.bits;
    const std::uint32_t mask = (std::uint32_t{1} << digit.bits) - 1;
    const auto add = [=](float value) {
        const std::uint32_t bits = magnitude(value);
        const bool counts_here = (bits >> above) == prefix && bits != 0;
        counts[(bits >> digit.shift) & mask] += static_cast<Count>(counts_here);
    };
    std::uint64_t i = 0;
    for (; i + kBlock <= n; i += kBlock) {
        std::uint32_t hits = 0;
        for (std::uint64_t j = i; j < i + kBlock; ++j) {
            hits |= static_cast<std::uint32_t>((magnitude(x[j]) >> above) == prefix);
        }
        if (hits == 0) {
            continue;
        }
        for (std::uint64_t j = i; j < i + kBlock; ++j) {
            add(x[j]);
        }
    }
    for (; i < n; ++i) {
        add(x[i]);
    }
}

// Bin that holds the k-th largest of those counted, and how many lie above it.
bool find_bin(const std::uint32_t* counts, std::uint64_t bins, std::uint64_t k, std::uint64_t* bin,
              std::uint64_t* above) noexcept {
    std::uint64_t seen = 0;
    for (std::uint64_t b = bins; b-- > 0;) {
        if (seen + counts[b] >= k) {
            *bin = b;
            *above = seen;
            return true;
        }
        seen += counts[b];
    }
    return false;
}

}  // namespace

bool finite_check(const float* x, std::uint64_t n) noexcept {
    constexpr auto kInfinity = static_cast<std::int32_t>(kInfinityMagnitude);
    for (std::uint64_t begin = 0; begin < n; begin += kTile) {
        const std::uint64_t end = begin + kTile < n ? begin + kTile : n;
        std::int32_t hits = 0;
        for (std::uint64_t i = begin; i < end; ++i) {
            hits |= -static_cast<std::int32_t>(signed_magnitude(x[i]) >= kInfinity);
        }
        if (hits != 0) {
            return false;
        }
    }
    return true;
}

void histogram(const float* x, std::uint64_t n, unsigned shift, unsigned bits, std::uint32_t prefix,
               std::uint64_t* counts) noexcept {
    std::memset(counts, 0, (std::uint64_t{1} << bits) * sizeof(std::uint64_t));
    count_digit(x, n, {shift, bits}, prefix, counts);
}

void reset_counts(std::uint32_t* counts) noexcept {
    std::memset(counts, 0, kCountsBytes);
}

void count_first_digit(const float* x, std::uint64_t n, std::uint32_t* counts) noexcept {
    constexpr unsigned kShift = kDigits[0].shift;
    std::uint64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const std::uint32_t even = magnitude(x[i]);
        const std::uint32_t odd = magnitude(x[i + 1]);
        counts[even >> kShift] += static_cast<std::uint32_t>(even != 0);
        counts[kBins + (odd >> kShift)] += static_cast<std::uint32_t>(odd != 0);
    }
    for (; i < n; ++i) {
        const std::uint32_t last = magnitude(x[i]);
        counts[last >> kShift] += static_cast<std::uint32_t>(last != 0);
    }
}

Cut narrow(const float* x, std::uint64_t n, std::uint64_t k, std::uint64_t room,
           std::uint32_t* counts, bool counted) noexcept {
    Cut cut{0, 0, 0, false, true};
    std::uint32_t prefix = 0;
    for (unsigned level = 0; level < kDigitCount; ++level) {
        const Digit digit = kDigits[level];
        if (level > 0) {
            reset_counts(counts);
            count_digit(x, n, digit, prefix, counts);
        } else {
            if (!counted) {
                reset_counts(counts);
                count_first_digit(x, n, counts);
            }
            for (std::uint64_t b = 0; b < kBins; ++b) {
                counts[b] += counts[kBins + b];
            }
        }
        std::uint64_t bin = 0;
        std::uint64_t above = 0;
        if (!find_bin(counts, std::uint64_t{1} << digit.bits, k - cut.above, &bin, &above)) {
            cut.enough = false;
            return cut;
        }
        prefix = (prefix << digit.bits) | static_cast<std::uint32_t>(bin);
        cut.low = prefix << digit.shift;
        cut.above += above;
        cut.inside = counts[bin];
        cut.exact = digit.shift == 0;
        if (cut.above + cut.inside <= room) {
            break;
        }
    }
    // The lowest bin begins at zero, which is never counted.
    cut.low = cut.low == 0 ? 1 : cut.low;
    return cut;
}

std::uint64_t kth_magnitude_workspace() noexcept {
    return kCountsBytes;
}

Status kth_magnitude(const float* x, std::uint64_t n, std::uint64_t k, void* workspace,
                     std::uint64_t workspace_bytes, float* result) noexcept {
    if (workspace_bytes < kCountsBytes) {
        return Status::workspace_too_small;
    }
    const Cut cut = narrow(x, n, k, 0, static_cast<std::uint32_t*>(workspace), false);
    *result = cut.enough ? bits_float(cut.low) : 0.0F;
    return Status::ok;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
