// Up to 16 sorted chunks and how they are cut into tiles (see merge.cu).
#pragma once

#include <cstdint>

#include "gradwire/merge.h"
#include "merge_tile.h"
#include "reduce.h"
#include "sparse.h"

namespace gradwire {
inline namespace cuda {

constexpr std::uint32_t kSlack = 1024;  // entries between two samples, of all chunks together
constexpr std::uint32_t kTile = kMergeRoom - kSlack;

// Chunks, and work on them that is numbered through.
struct Group {
    Chunk chunks[kWays];
    std::uint64_t first[kWays + 1];  // piece of work of each chunk
    std::uint32_t ways;
    std::uint32_t spacing;  // entries of a chunk that have one sample

    GRADWIRE_DEVICE unsigned owner_of(std::uint64_t work) const {
        unsigned owner = 0;
        while (owner + 1 < ways && first[owner + 1] <= work) {
            ++owner;
        }
        return owner;
    }
};

// For each tile the sample that it begins with: how far its rank is below the next tile's first,
// so that the largest word is the first sample's, and its number. Words are zeroed before.
constexpr unsigned kNumberBits = 48;

struct Cuts {
    unsigned long long* begins;  // for each tile
    std::uint64_t* places;       // for each sample and each chunk
};

// The work is numbered by samples.
Group group_of(const Chunk* chunks, unsigned ways) noexcept;

// Adds to result->faults whether a chunk is not strictly increasing.
void enqueue_check_chunks(const Group& group, SetResult* result) noexcept;

void enqueue_cut(const Group& group, Cuts cuts, const SetResult* result) noexcept;

// ---- a tile ----

struct Tile {
    std::uint64_t rank;  // of its first entry
    std::uint32_t total;
};

// What the tile's threads have to know besides its entries.
struct TileRoom {
    std::uint64_t shift[kWays];  // from places in the block's memory to places in the chunks
    std::uint64_t end[kWays];
    std::uint32_t index_before[kWays];  // that each chunk has before the tile, and behind it
    std::uint32_t index_behind[kWays];
    bool has_before[kWays];
    bool has_behind[kWays];
    std::uint64_t rank;
};

// Where the tile begins in a chunk; its end if no tile begins there.
GRADWIRE_DEVICE std::uint64_t begin_in(const Group& group, const Cuts& cuts, std::uint64_t tile,
                                       unsigned chunk) {
    const unsigned long long begin = tile < gridDim.x ? cuts.begins[tile] : 0;
    const std::uint64_t sample = begin & ((1ULL << kNumberBits) - 1);
    return begin == 0 ? group.chunks[chunk].count : cuts.places[sample * group.ways + chunk];
}

// Finds the tile's runs in all chunks.
GRADWIRE_DEVICE Tile open_tile(MergeRoom& room, TileRoom& about, const Group& group,
                               const Cuts& cuts, std::uint64_t tile) {
    if (warp() == 0) {
        const unsigned chunk = lane();
        std::uint64_t begin = 0, end = 0;
        if (chunk < group.ways) {
            const Chunk& own = group.chunks[chunk];
            begin = begin_in(group, cuts, tile, chunk);
            end = begin_in(group, cuts, tile + 1, chunk);
            about.has_before[chunk] = begin > 0;
            about.index_before[chunk] = begin > 0 ? own.indices[begin - 1] : 0;
            about.has_behind[chunk] = end < own.count;
            about.index_behind[chunk] = end < own.count ? own.indices[end] : 0;
        }
        const auto size = static_cast<std::uint32_t>(end - begin);
        const std::uint32_t upto = warp_sum_so_far(size);
        std::uint64_t rank = begin;
        for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
            rank += __shfl_xor_sync(kFullWarp, rank, static_cast<int>(distance));
        }
        if (chunk < group.ways) {
            room.bounds[chunk + 1] = upto;
            about.shift[chunk] = begin - (upto - size);
            about.end[chunk] = end;
        }
        if (chunk == 0) {
            room.bounds[0] = 0;
            about.rank = rank;
        }
    }
    __syncthreads();
    return {about.rank, room.bounds[group.ways]};
}

GRADWIRE_DEVICE void load_tile(MergeRoom& room, const TileRoom& about, const Group& group,
                               std::uint32_t total) {
    std::uint32_t indices[kMergeOwn];
    float values[kMergeOwn];
    unsigned chunk = 0;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kMergeOwn; ++j) {
        const std::uint32_t e = j * kMergeThreads + threadIdx.x;
        if (e < total) {
            while (room.bounds[chunk + 1] <= e) {
                ++chunk;
            }
            const std::uint64_t place = about.shift[chunk] + e;
            indices[j] = __ldcs(group.chunks[chunk].indices + place);
            values[j] = __ldcs(group.chunks[chunk].values + place);
        }
    }
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kMergeOwn; ++j) {
        const std::uint32_t e = j * kMergeThreads + threadIdx.x;
        if (e < total) {
            room.indices[e] = indices[j];
            room.values[e] = values[j];
        }
    }
    __syncthreads();
}

}  // namespace cuda
}  // namespace gradwire
