// Five trits (0, 1, 2) in a byte, as gradwire/bits.h lays them out, and back.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kTrits = 5;         // per byte
constexpr std::uint32_t kByteValues = 243;  // 3^5

// 81 a + 27 b + 9 c + 3 d + e of the five lowest bytes a..e: byte 4 of a product. The bytes below
// it stay under 256, so nothing is carried into it, and what is above e only reaches higher ones.
GRADWIRE_BOTH constexpr std::uint8_t five(std::uint64_t codes) noexcept {
    constexpr std::uint64_t kPowers = 1 | 3 << 8 | 9 << 16 | 27 << 24 | std::uint64_t{81} << 32;
    return static_cast<std::uint8_t>((codes * kPowers) >> 32);
}

// The five trits of a byte below 243 as the lowest bytes of a word; of other bytes, any five bytes.
GRADWIRE_BOTH constexpr std::uint64_t trits_of(std::uint32_t byte) noexcept {
    // Quotients of what is that small are exact so.
    const std::uint32_t by3 = byte * 171 >> 9;
    const std::uint32_t by9 = by3 * 171 >> 9;
    const std::uint32_t by27 = by3 * 57 >> 9;
    const std::uint32_t by81 = by3 * 19 >> 9;
    // Each trit is a quotient less three times the one in the byte below.
    const std::uint32_t quotients = by81 | by27 << 8 | by9 << 16 | by3 << 24;
    const std::uint32_t leading = quotients - (quotients << 8) * 3;
    return leading | std::uint64_t{(byte - 3 * by3) & 0xFFU} << 32;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
