// Words whose largest one tells the scale of a block, whatever the order: magnitudes, and both
// extremes of numbers.
#pragma once

#include <cstdint>

#include "gradwire/magnitude.h"
#include "gradwire/scales.h"
#include "simt.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {

GRADWIRE_DEVICE std::uint32_t larger_word(std::uint32_t a, std::uint32_t b) {
    return a < b ? b : a;
}

// 0 for what lies behind the end, as that is zeros.
GRADWIRE_DEVICE std::uint32_t largest_magnitude(const Quad<float>& x) {
    std::uint32_t most = 0;
    for (unsigned j = 0; j < kQuad; ++j) {
        most = larger_word(most, magnitude(x.at[j]));
    }
    return most;
}

// Larger keys are of higher numbers in `high`, of lower ones in `low`; the largest of all, in both,
// is of what is not finite.
struct Keys {
    std::uint32_t low, high;
};

constexpr std::uint32_t kNotFiniteKey = 0xFFFFFFFFU;

GRADWIRE_DEVICE Keys larger_keys(Keys a, Keys b) {
    return {larger_word(a.low, b.low), larger_word(a.high, b.high)};
}

GRADWIRE_DEVICE Keys keys_of(float x) {
    if (magnitude(x) >= kInfinityMagnitude) {
        return {kNotFiniteKey, kNotFiniteKey};
    }
    const std::uint32_t bits = float_bits(x);
    const std::uint32_t high = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
    return {~high, high};
}

// Of elements i to i + 3 of n.
GRADWIRE_DEVICE Keys extreme_keys(const Quad<float>& x, std::uint64_t i, std::uint64_t n) {
    Keys most{0, 0};
    for (unsigned j = 0; j < kQuad; ++j) {
        if (i + j < n) {
            most = larger_keys(most, keys_of(x.at[j]));
        }
    }
    return most;
}

struct Extremes {
    float low, high;
};

GRADWIRE_DEVICE Extremes extremes_of(Keys keys) {
    if (keys.high == kNotFiniteKey) {
        return {bits_float(kNanScaleBits), bits_float(kNanScaleBits)};
    }
    const auto number = [](std::uint32_t key) {
        // +0 for -0.
        return bits_float((key >> 31) != 0 ? key & kMagnitudeMask : ~key) + 0.0F;
    };
    return {number(~keys.low), number(keys.high)};
}

}  // namespace cuda
}  // namespace gradwire
