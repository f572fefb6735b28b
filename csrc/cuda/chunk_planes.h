// Bit planes of a chunk's codes (gradwire/quantize.h), from and to the registers of a warp.
//
// Two lanes exchange quads, so that each has eight successive codes; a transposition of bits makes
// them a byte of every plane; and four lanes transpose bytes, so that each has four successive
// bytes of one plane. Everything is its own inverse.
#pragma once

#include <cstdint>

#include "bit_planes.h"
#include "simt.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kRowBytes = kRow / 8;  // of a plane

// Byte m of the lane with (lane / 2) % 4 = k becomes byte k of the one with m; of lanes l, l + 2,
// l + 4 and l + 6.
GRADWIRE_DEVICE std::uint32_t transpose_bytes(std::uint32_t word) {
    const std::uint32_t next = __shfl_xor_sync(kFullWarp, word, 2);
    const std::uint32_t pairs = __byte_perm(word, next, (lane() & 2U) == 0 ? 0x6240U : 0x3715U);
    const std::uint32_t far = __shfl_xor_sync(kFullWarp, pairs, 4);
    return __byte_perm(pairs, far, (lane() & 4U) == 0 ? 0x5410U : 0x3276U);
}

// Of quads that follow each other by a row: even lanes get eight codes of the first row, odd lanes
// of the second.
GRADWIRE_DEVICE uint2 join_quads(std::uint32_t first, std::uint32_t second) {
    const bool odd = lane() % 2 != 0;
    const std::uint32_t other = __shfl_xor_sync(kFullWarp, odd ? first : second, 1);
    return odd ? make_uint2(other, second) : make_uint2(first, other);
}

// The inverse.
GRADWIRE_DEVICE void part_quads(uint2 x, std::uint32_t* first, std::uint32_t* second) {
    const bool odd = lane() % 2 != 0;
    const std::uint32_t other = __shfl_xor_sync(kFullWarp, odd ? x.x : x.y, 1);
    *first = odd ? other : x.x;
    *second = odd ? x.y : other;
}

// The planes of one chunk in memory, and which bytes of them this lane has to do with.
template <typename Byte>
struct ChunkPlanes {
    Byte* memory;
    unsigned bits;
    unsigned plane;  // bytes
    bool words;      // four bytes at a time

    GRADWIRE_DEVICE ChunkPlanes(Byte* codes, const WarpChunk& chunk, unsigned bits_)
        : memory(codes + bits_ * (chunk.begin / 8)),
          bits(bits_),
          plane(static_cast<unsigned>(plane_bytes(chunk.size()))),
          words(chunk.size() == kChunk &&
                reinterpret_cast<std::uintptr_t>(codes) % sizeof(std::uint32_t) == 0) {}

    GRADWIRE_DEVICE static unsigned row(unsigned pair) {
        return kRowBytes * (2 * pair + lane() % 2);
    }
    GRADWIRE_DEVICE Byte* byte(unsigned pair, unsigned j) const {
        return memory + plane * j + row(pair) + lane() / 2;
    }
    GRADWIRE_DEVICE bool has_byte(unsigned pair, unsigned j) const {
        return j < bits && row(pair) + lane() / 2 < plane;
    }
    // Of the planes 4 * half to 4 * half + 3, after transpose_bytes.
    GRADWIRE_DEVICE bool has_word(unsigned half) const { return 4 * half + lane() / 2 % 4 < bits; }
    template <typename Word>
    GRADWIRE_DEVICE Word* word(unsigned pair, unsigned half) const {
        const unsigned j = 4 * half + lane() / 2 % 4;
        return reinterpret_cast<Word*>(memory + plane * j + row(pair) + lane() / 8 * 4);
    }
};

// Zeros for what lies behind the end.
GRADWIRE_DEVICE std::uint32_t confined(std::uint32_t codes, unsigned q, unsigned size) {
    const unsigned begin = WarpChunk::offset(q);
    if (begin + kQuad <= size) {
        return codes;
    }
    return begin >= size ? 0 : codes & ((1U << (8 * (size - begin))) - 1);
}

GRADWIRE_DEVICE void store_chunk_planes(const ChunkCodes& codes, const WarpChunk& chunk,
                                        unsigned bits, std::uint8_t* out) {
    const ChunkPlanes<std::uint8_t> to(out, chunk, bits);
    const unsigned size = chunk.size();
    GRADWIRE_UNROLL
    for (unsigned pair = 0; pair < kQuads / 2; ++pair) {
        const uint2 planes =
            transposed(join_quads(confined(codes.quad[2 * pair], 2 * pair, size),
                                  confined(codes.quad[2 * pair + 1], 2 * pair + 1, size)));
        GRADWIRE_UNROLL
        for (unsigned half = 0; half < 2; ++half) {
            const std::uint32_t bytes = half == 0 ? planes.x : planes.y;
            if (4 * half >= bits) {
                continue;
            }
            if (to.words) {
                const std::uint32_t word = transpose_bytes(bytes);
                if (to.has_word(half)) {
                    __stcs(to.template word<std::uint32_t>(pair, half), word);
                }
                continue;
            }
            GRADWIRE_UNROLL
            for (unsigned j = 0; j < 4; ++j) {
                if (to.has_byte(pair, 4 * half + j)) {
                    *to.byte(pair, 4 * half + j) = static_cast<std::uint8_t>(code_in(bytes, j));
                }
            }
        }
    }
}

GRADWIRE_DEVICE std::uint32_t load_plane_bytes(const ChunkPlanes<const std::uint8_t>& from,
                                               unsigned pair, unsigned half) {
    if (from.words) {
        std::uint32_t word = 0;
        if (from.has_word(half)) {
            word = __ldcs(from.template word<const std::uint32_t>(pair, half));
        }
        return transpose_bytes(word);
    }
    std::uint32_t bytes = 0;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < 4; ++j) {
        if (from.has_byte(pair, 4 * half + j)) {
            bytes |= std::uint32_t{*from.byte(pair, 4 * half + j)} << (8 * j);
        }
    }
    return bytes;
}

// Codes behind the end are unspecified, below 2^bits.
GRADWIRE_DEVICE ChunkCodes load_chunk_planes(const std::uint8_t* in, const WarpChunk& chunk,
                                             unsigned bits) {
    const ChunkPlanes<const std::uint8_t> from(in, chunk, bits);
    ChunkCodes codes;
    GRADWIRE_UNROLL
    for (unsigned pair = 0; pair < kQuads / 2; ++pair) {
        uint2 planes = make_uint2(load_plane_bytes(from, pair, 0), 0);
        if (bits > 4) {
            planes.y = load_plane_bytes(from, pair, 1);
        }
        part_quads(transposed(planes), &codes.quad[2 * pair], &codes.quad[2 * pair + 1]);
    }
    return codes;
}

}  // namespace cuda
}  // namespace gradwire
