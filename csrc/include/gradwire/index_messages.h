// What the codecs of gradwire/indices.h are given, on CPUs and GPUs.
#pragma once

#include <cstdint>

#include "gradwire/indices.h"
#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Places {  // to encode
    const std::uint32_t* indices;
    std::uint64_t count;
    IndexRange range;
};

struct Encoded {  // to decode
    const std::uint8_t* data;
    std::uint64_t bytes;
    std::uint64_t count;
    IndexRange range;
};

GRADWIRE_BOTH constexpr std::uint64_t tile_count(std::uint64_t length) noexcept {
    return (length + kIndexTile - 1) / kIndexTile;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
