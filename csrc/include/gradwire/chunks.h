// How codes and scales are laid out (see gradwire/quantize.h): chunks share bit planes, blocks
// share scales, and neither needs to be a multiple of the other.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kChunk = 512;  // codes

GRADWIRE_BOTH constexpr std::uint64_t plane_bytes(std::uint64_t codes) noexcept {
    return (codes + 7) / 8;
}

GRADWIRE_BOTH constexpr std::uint64_t block_count(std::uint64_t n, std::uint64_t block) noexcept {
    return block == 0 ? static_cast<std::uint64_t>(n != 0) : (n + block - 1) / block;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
