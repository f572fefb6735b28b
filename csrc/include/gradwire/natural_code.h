// The arithmetic of gradwire/natural.h for one element.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint32_t kZeroExponent = 18;  // as stored: with a bias of 127
constexpr std::uint32_t kLargestExponent = 145;

// With 16 random bits.
GRADWIRE_BOTH inline std::uint32_t natural_code(float x, std::uint32_t random) noexcept {
    const std::uint32_t sign = float_bits(x) >> 24 & 0x80U;
    // A carry out of the 16 mantissa bits just where they are above the random ones.
    const std::uint32_t exponent = ((magnitude(x) >> 7) + (0xFFFFU - random)) >> 16;
    const std::uint32_t least = exponent < kZeroExponent ? kZeroExponent : exponent;
    return sign | ((least < kLargestExponent ? least : kLargestExponent) - kZeroExponent);
}

GRADWIRE_BOTH inline float natural_value(std::uint32_t code) noexcept {
    const std::uint32_t number = code & 0x7FU;
    const std::uint32_t power = number == 0 ? 0 : (number + kZeroExponent) << 23;
    return bits_float((code & 0x80U) << 24 | power);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
