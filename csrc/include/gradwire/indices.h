// Wire forms of strictly increasing indices in [begin, begin + length), begin + length <= 2^32.
// All integers are little-endian and relative to begin.
//
//   u32     one u32 per index
//   tile16  ceil(length / 65536) u32 counts, one per tile of 65,536, then one u16 per index: its
//           offset in its tile
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

enum class IndexCodec : std::int32_t { u32 = 0, tile16 = 1 };

struct IndexRange {
    std::uint32_t begin;
    std::uint64_t length;
};

// Exact number of bytes of an encoded message.
std::uint64_t encoded_size(std::uint64_t count, std::uint64_t length, IndexCodec codec) noexcept;

// out has room for encoded_size() bytes. not_increasing, index_out_of_range: nothing was written.
Status encode_indices(const std::uint32_t* indices, std::uint64_t count, IndexRange range,
                      IndexCodec codec, std::uint8_t* out) noexcept;

// Data is hostile: anything but the encoding of `count` indices inside the range is refused, and
// nothing outside data and out[0..count) is touched. After an error, the contents of out are
// unspecified.
Status decode_indices(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t count,
                      IndexRange range, IndexCodec codec, std::uint32_t* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
