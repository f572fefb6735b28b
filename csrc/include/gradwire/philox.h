// Philox4x32, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3" (SC 2011). Same bits on every device and for any launch shape.
#pragma once

#include <array>
#include <cstdint>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr unsigned kPhiloxRounds = 10;

GRADWIRE_BOTH inline std::array<std::uint32_t, 4> philox4x32(
    std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key,
    unsigned rounds = kPhiloxRounds) noexcept {
    constexpr std::uint64_t kMultiplier0 = 0xD2511F53U;
    constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57U;
    constexpr std::uint32_t kWeyl0 = 0x9E3779B9U;  // golden ratio
    constexpr std::uint32_t kWeyl1 = 0xBB67AE85U;  // sqrt(3) - 1
    for (unsigned round = 0; round < rounds; ++round) {
        const std::uint64_t product0 = kMultiplier0 * counter[0];
        const std::uint64_t product1 = kMultiplier1 * counter[2];
        counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
                   static_cast<std::uint32_t>(product1),
                   static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
                   static_cast<std::uint32_t>(product0)};
        key[0] += kWeyl0;
        key[1] += kWeyl1;
    }
    return counter;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
