// Wire forms of strictly increasing indices in [begin, begin + length), begin + length <= 2^32.
// All integers are little-endian and relative to begin.
//
//   u32     one u32 per index
//   tile16  ceil(length / 65536) u32 counts, one per tile of 65,536, then one u16 per index: its
//           offset in its tile
//   bitmap  ceil(length / 8) bytes: bit i % 8 (least significant first) of byte i / 8 is set for
//           each index i
//
// The others are streams of bits, least significant bit of each byte first, with zeros up to a
// whole byte. They encode gaps: first index, then index - previous index - 1. Each gap is a number
// of zeros, a one, and a field of bits (least significant first):
//
//   rice         before each block of 1024 gaps 5 bits, r; per gap gap >> r zeros, then the r low
//                bits of the gap. r is floor(log2(mean)), mean being the sum of the block's gaps
//                div their number, and 0 if that is 0
//   elias_gamma  with v = gap + 1 and N = floor(log2(v)): N zeros, then the N low bits of v
//   elias_delta  with M = floor(log2(N + 1)): M zeros, then the M low bits of N + 1, then the N low
//                bits of v
//
// No set of indices makes them explode. The gaps add up to at most length - count, so with r as
// above a Rice message has at most count (4 + floor(log2(1 + floor((length - count) / count))))
// bits and 5 per block, whatever the gaps are.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

enum class IndexCodec : std::int32_t {
    u32 = 0,
    tile16 = 1,
    bitmap = 2,
    rice = 3,
    elias_gamma = 4,
    elias_delta = 5,
};

struct IndexRange {
    std::uint32_t begin;
    std::uint64_t length;
};

// Bytes that an encoded message can have: min and max, which are attained, except that the max of
// rice and elias_delta are upper bounds. The same where the size does not depend on the indices:
// u32, tile16, bitmap.
struct EncodedSize {
    std::uint64_t min;
    std::uint64_t max;
};
EncodedSize encoded_size(std::uint64_t count, std::uint64_t length, IndexCodec codec) noexcept;

constexpr std::uint64_t kIndexTile = 65536;  // positions that tile16 counts together
constexpr std::uint64_t kRiceBlock = 1024;   // gaps with one parameter

// The parameter r of a block of `count` indices, of which the last one is the last of `length`
// positions behind the block before.
unsigned rice_parameter(std::uint64_t count, std::uint64_t length) noexcept;

// out has room for encoded_size().max bytes, of which those behind *written are scratch.
// not_increasing, index_out_of_range: nothing was written.
Status encode_indices(const std::uint32_t* indices, std::uint64_t count, IndexRange range,
                      IndexCodec codec, std::uint8_t* out, std::uint64_t* written) noexcept;

// Data is hostile: anything but the encoding of `count` indices inside the range is refused, and
// nothing outside data and out[0..count) is touched. Time is O(count + bytes). After an error, the
// contents of out are unspecified.
Status decode_indices(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t count,
                      IndexRange range, IndexCodec codec, std::uint32_t* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
