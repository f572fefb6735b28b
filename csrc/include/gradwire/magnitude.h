// Magnitudes as integers: the bits of a float32 without its sign are ordered as the absolute
// values are, with every NaN above infinity. All selections compare these, so they are exact,
// total and independent of the floating-point environment.
#pragma once

#include <cstdint>
#include <cstring>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint32_t kMagnitudeMask = 0x7fffffffU;
constexpr std::uint32_t kInfinityMagnitude = 0x7f800000U;
constexpr unsigned kMagnitudeBits = 31;

GRADWIRE_BOTH inline std::uint32_t float_bits(float value) noexcept {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

GRADWIRE_BOTH inline float bits_float(std::uint32_t bits) noexcept {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

GRADWIRE_BOTH inline std::uint32_t magnitude(float value) noexcept {
    return float_bits(value) & kMagnitudeMask;
}

// Smallest magnitude that counts as "at least threshold" and is not zero.
GRADWIRE_BOTH inline std::uint32_t floor_magnitude(float threshold) noexcept {
    const std::uint32_t bits = magnitude(threshold);
    return bits == 0 ? 1 : bits;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
