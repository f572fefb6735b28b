// The scale of a block from what was found of its elements; the order in which they are added is
// in gradwire/quantize.h and gradwire/sign.h. NaN where not all of them are finite.
#pragma once

#include <cmath>
#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// From the next one on, some numbers of levels times (scale / levels) overflow.
constexpr std::uint32_t kLargestScale = 0x7F7FFFFEU;
constexpr std::uint32_t kNanScaleBits = 0x7FC00000U;
// Of finite float32, sums of squares stay below 2^288 and sums of magnitudes below 2^160.
constexpr double kMoreThanFinite = 1e300;

GRADWIRE_BOTH inline float absmax_of(std::uint32_t largest_magnitude) noexcept {
    if (largest_magnitude >= kInfinityMagnitude) {
        return bits_float(kNanScaleBits);
    }
    return bits_float(largest_magnitude < kLargestScale ? largest_magnitude : kLargestScale);
}

GRADWIRE_BOTH inline float norm_of(double sum_of_squares) noexcept {
    if (!(sum_of_squares <= kMoreThanFinite)) {
        return bits_float(kNanScaleBits);
    }
    const double norm = std::sqrt(sum_of_squares);
    const float largest = bits_float(kLargestScale);
    return norm < static_cast<double>(largest) ? static_cast<float>(norm) : largest;
}

GRADWIRE_BOTH inline float mean_of(double sum_of_magnitudes, std::uint64_t count) noexcept {
    if (!(sum_of_magnitudes <= kMoreThanFinite)) {
        return bits_float(kNanScaleBits);
    }
    return static_cast<float>(sum_of_magnitudes / static_cast<double>(count));
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
