// Sums over everything before a place, known while the vector is read for the first time:
// decoupled look-back (Merrill and Garland, "Single-pass parallel prefix scan", 2016).
//
// A block takes the next tile, publishes the tile's own sum, and adds up what the tiles before have
// published, back to one that knows the sum of all before it; then it publishes that, too. Tiles
// are numbered as blocks take them, so whoever is waited for is running: nothing can lock up.
#pragma once

#include <cstdint>

#include "simt.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kSumBits = 56;

// A word for each tile: a sum, and a tag that says which one. Words are zeroed once; each further
// look-back over them is another `use`, from 1 to 127 and rising, and takes the words of earlier
// uses for empty.
struct Lookback {
    std::uint64_t* words;
    std::uint32_t* ticket;  // zeroed; of this use alone
    std::uint32_t use;

    GRADWIRE_DEVICE std::uint64_t own_sum(std::uint64_t sum) const {
        return sum | std::uint64_t{2 * use - 1} << kSumBits;
    }
    GRADWIRE_DEVICE std::uint64_t whole_sum(std::uint64_t sum) const {
        return sum | std::uint64_t{2 * use} << kSumBits;
    }
};

// The words of the 32 tiles before `end`, nearest first, as far as they are wanted: the first that
// is a whole sum, and the own sums before it. Waits for those. Returns what this lane adds.
GRADWIRE_DEVICE std::uint64_t wanted_sum(const Lookback& look, std::uint32_t end, bool* complete) {
    for (;;) {
        const std::uint64_t word = lane() < end ? load_relaxed(look.words + (end - 1 - lane()))
                                                : look.whole_sum(0);  // of nothing
        const auto tag = static_cast<std::uint32_t>(word >> kSumBits);
        const unsigned wholes = __ballot_sync(kFullWarp, tag == 2 * look.use);
        const unsigned known = wholes | __ballot_sync(kFullWarp, tag == 2 * look.use - 1);
        const unsigned wanted = wholes == 0 ? kFullWarp : wholes ^ (wholes - 1);
        if ((known & wanted) == wanted) {
            *complete = wholes != 0;
            const std::uint64_t sum = word & ((std::uint64_t{1} << kSumBits) - 1);
            return (wanted >> lane() & 1U) != 0 ? sum : 0;
        }
        pause();
    }
}

// By one warp, once for each tile: the sum of `own` over all tiles before this one.
GRADWIRE_DEVICE std::uint64_t look_back(const Lookback& look, std::uint32_t tile,
                                        std::uint64_t own) {
    if (lane() == 0 && tile != 0) {
        store_relaxed(look.words + tile, look.own_sum(own));
    }
    std::uint64_t before = 0;
    bool complete = tile == 0;
    for (std::uint32_t end = tile; !complete; end -= kWarp) {
        std::uint64_t sum = wanted_sum(look, end, &complete);
        for (unsigned distance = kWarp / 2; distance != 0; distance /= 2) {
            sum += __shfl_xor_sync(kFullWarp, sum, static_cast<int>(distance));
        }
        before += sum;
    }
    if (lane() == 0) {
        store_relaxed(look.words + tile, look.whole_sum(before + own));
    }
    return before;
}

// ---- by whole blocks ----

struct LookbackRoom {  // shared by a block
    std::uint64_t before;
    std::uint32_t tile;
    std::uint32_t totals[32];  // of warps
};

// The block's next tile. Between two calls the block synchronises, as sums_before does.
GRADWIRE_DEVICE std::uint32_t next_tile(LookbackRoom& room, const Lookback& look) {
    if (threadIdx.x == 0) {
        room.tile = atomicAdd(look.ticket, 1U);
    }
    __syncthreads();
    return room.tile;
}

struct Sums {
    std::uint64_t before;   // this warp: over the tiles before, and the warps before in this tile
    std::uint64_t through;  // the end of this tile
};

// Adds up what warps have, in their order; `own` is this warp's. With take_next, for blocks of more
// than a warp that take tile after tile, room.tile is then the next one: its number comes while the
// block waits anyway. (Nobody waits in vain: the first tile that is not through is some block's
// only one, or the next of a block whose other one is through.)
template <bool take_next = false>
GRADWIRE_DEVICE Sums sums_before(LookbackRoom& room, const Lookback& look, std::uint32_t tile,
                                 std::uint32_t own) {
    if (lane() == 0) {
        room.totals[warp()] = own;
    }
    __syncthreads();
    std::uint64_t earlier = 0, all = 0;
    for (unsigned w = 0; w < blockDim.x / kWarp; ++w) {
        earlier += w < warp() ? room.totals[w] : 0;
        all += room.totals[w];
    }
    if (warp() == 0) {
        const std::uint64_t before = look_back(look, tile, all);
        if (lane() == 0) {
            room.before = before;
        }
    } else if (take_next && threadIdx.x == kWarp) {
        room.tile = atomicAdd(look.ticket, 1U);
    }
    __syncthreads();
    return {room.before + earlier, room.before + all};
}

}  // namespace cuda
}  // namespace gradwire
