// Scales of blocks that lie inside a chunk (16, 32, ... 512 elements), from the registers that the
// chunk is in.
#pragma once

#include <cstdint>

#include "gradwire/scales.h"
#include "keys.h"
#include "terms.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {

// Whether blocks of this length never cross the boundary of a chunk.
constexpr bool inside_chunks(std::uint64_t block) {
    return block != 0 && kChunk % block == 0;
}

// Whether chunks never cross the boundary of a block.
GRADWIRE_BOTH constexpr bool around_chunks(std::uint64_t block) {
    return block % kChunk == 0;
}

// Numbers of elements are below 2^32: short divisions.
GRADWIRE_DEVICE std::uint64_t block_of(std::uint64_t element, std::uint64_t block) {
    return block == 0 ? 0 : static_cast<std::uint32_t>(element) / static_cast<std::uint32_t>(block);
}

// For each quad, the largest word of any quad of its block.
GRADWIRE_DEVICE void largest_in_blocks(std::uint32_t (&word)[kQuads], unsigned block) {
    if (block >= 2 * kRow) {
        word[0] = word[1] = larger_word(word[0], word[1]);
        word[2] = word[3] = larger_word(word[2], word[3]);
    }
    if (block == kChunk) {
        std::uint32_t one = larger_word(word[0], word[2]);
        for (int distance = kWarp / 2; distance != 0; distance /= 2) {
            one = larger_word(one, __shfl_xor_sync(kFullWarp, one, distance));
        }
        GRADWIRE_UNROLL
        for (std::uint32_t& each : word) {
            each = one;
        }
        return;
    }
    for (unsigned distance = 1; distance < kWarp && kQuad * distance < block; distance *= 2) {
        GRADWIRE_UNROLL
        for (std::uint32_t& each : word) {
            each = larger_word(each, __shfl_xor_sync(kFullWarp, each, static_cast<int>(distance)));
        }
    }
}

// The scales of each quad's block; the second ones are for minmax only.
struct QuadScales {
    float first[kQuads], second[kQuads];
};

GRADWIRE_DEVICE void absmax_in_chunk(const ChunkFloats& x, unsigned block, QuadScales* scales) {
    std::uint32_t most[kQuads];
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        most[q] = largest_magnitude(x.quad[q]);
    }
    largest_in_blocks(most, block);
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        scales->first[q] = absmax_of(most[q]);
    }
}

GRADWIRE_DEVICE void extremes_in_chunk(const ChunkFloats& x, const WarpChunk& chunk, unsigned block,
                                       QuadScales* scales) {
    std::uint32_t low[kQuads], high[kQuads];
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        const Keys keys = extreme_keys(x.quad[q], chunk.element(q), chunk.n);
        low[q] = keys.low;
        high[q] = keys.high;
    }
    largest_in_blocks(low, block);
    largest_in_blocks(high, block);
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        const Extremes found = extremes_of({low[q], high[q]});
        scales->first[q] = found.low;
        scales->second[q] = found.high;
    }
}

// A chunk in memory of the thread block, for additions across lanes.
struct ChunkRoom {
    alignas(16) float x[kChunk];
    float scales[kChunk / kSums];
};

template <typename Term>
GRADWIRE_DEVICE void sums_in_chunk(const ChunkFloats& x, const WarpChunk& chunk, unsigned block,
                                   ChunkRoom& room, QuadScales* scales) {
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        const Quad<float>& quad = x.quad[q];
        *reinterpret_cast<float4*>(room.x + WarpChunk::offset(q)) =
            make_float4(quad.at[0], quad.at[1], quad.at[2], quad.at[3]);
    }
    __syncwarp();
    const unsigned half = lane() / kSums, own = lane() % kSums;
    const unsigned size = chunk.size();
    for (unsigned begin = 0; begin < size; begin += 2 * block) {
        const unsigned mine = begin + half * block;
        double sum = 0.0;
        if (mine < size) {
            for (unsigned i = 0; i < block; i += kSums) {
                sum = sum + Term::term(room.x[mine + i + own]);
            }
        }
        sum = add_sums(sum);
        if (own == 0 && mine < size) {
            const unsigned count = size - mine < block ? size - mine : block;
            room.scales[mine / block] = Term::scale(sum, count);
        }
    }
    __syncwarp();
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        scales->first[q] = room.scales[WarpChunk::offset(q) / block];
    }
}

// Calls put(number of the block, q) from one lane for each block.
template <typename Put>
GRADWIRE_DEVICE void for_each_block_of(const WarpChunk& chunk, unsigned block, Put put) {
    const std::uint64_t first = chunk.begin / block;
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        const unsigned offset = WarpChunk::offset(q);
        if (offset % block == 0 && offset < chunk.size()) {
            put(first + offset / block, q);
        }
    }
}

}  // namespace cuda
}  // namespace gradwire
