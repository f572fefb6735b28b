// The k largest, once the k-th is known: everything above it, and the first that equal it. Elements
// are counted before they move, those that equal it in a look-back of their own where not all are
// taken.
#pragma once

#include <cstdint>

#include "compact.h"
#include "sources.h"
#include "topk_search.h"

namespace gradwire {
inline namespace cuda {

// The cut through a vector: everything above `low`, and the first `ties` that equal it.
struct Cut {
    std::uint32_t low;
    std::uint32_t ties;
    bool all_ties;
};

// The marks of a tile's elements that belong to the first `ties` that equal `low`.
GRADWIRE_DEVICE std::uint32_t mark_ties(LookbackRoom& room, const Lookback& look,
                                        std::uint32_t tile, const Held& held, const Cut& cut) {
    const std::uint32_t equal = mark(held, [=](std::uint32_t bits) { return bits == cut.low; });
    const Ranks ranks = rank_in_warp(equal);
    const Sums sums = sums_before(room, look, tile, ranks.total);
    std::uint32_t taken = 0;
    for_marked(equal, ranks, [&](unsigned round, unsigned j, std::uint32_t rank) {
        if (sums.before + rank < cut.ties) {
            taken |= 1U << (kQuad * round + j);
        }
    });
    return taken;
}

template <typename T, typename IndexOf, typename Done>
GRADWIRE_DEVICE void take(LookbackRoom& room, const Lookback& look, const Lookback& ties,
                          const Plain<T>& source, std::uint64_t n, const Cut& cut,
                          const Entries& out, IndexOf index_of, Done done) {
    const std::uint64_t tiles = n == 0 ? 1 : (n + kTile - 1) / kTile;
    for (std::uint32_t tile = next_tile(room, look); tile < tiles; tile = room.tile) {
        const Held held = hold(source, tile, n);
        const std::uint32_t least = cut.all_ties ? cut.low : cut.low + 1;
        std::uint32_t marks = mark(held, [=](std::uint32_t bits) { return bits >= least; });
        if (!cut.all_ties) {
            marks |= mark_ties(room, ties, tile, held, cut);
        }
        const std::uint64_t through = emit(room, look, tile, held, marks, out, index_of);
        if (tile == tiles - 1 && threadIdx.x == 0) {
            done(through);
        }
    }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    take_kernel(Plain<T> source, std::uint64_t n, std::uint32_t k, std::uint64_t wanted,
                Entries candidates, Lookback look, Lookback ties, const Search* search, Entries out,
                Selection* result) {
    GRADWIRE_SHARED(LookbackRoom, room);
    const std::uint32_t missing = k - search->above;
    const bool lacking = search->lacking != 0;
    const Cut cut{search->low, missing, lacking || missing >= search->inside};
    const auto done = [=](std::uint64_t found) {
        *result = {found, found, found == wanted ? bits_float(cut.low) : 0.0F};
    };
    if (search->among_candidates != 0) {
        const std::uint32_t* const indices = candidates.indices;
        const auto index_of = [=](std::uint64_t i) { return indices[i]; };
        take(room, look, ties, Plain<float>{candidates.values}, search->candidates, cut, out,
             index_of, done);
    } else {
        take(room, look, ties, source, n, cut, out, OwnIndices{}, done);
    }
}

}  // namespace cuda
}  // namespace gradwire
