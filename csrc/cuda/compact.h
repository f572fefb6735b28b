// Compaction: elements that are marked go to the places that their order gives them.
//
// A tile is a block's: each warp has 512 successive elements, which its lanes hold in registers, in
// four rounds of four, until all counts before them are known (lookback.h).
#pragma once

#include <cstdint>

#include "gradwire/magnitude.h"
#include "gradwire/select.h"
#include "lookback.h"
#include "queue.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kRounds = 4;
constexpr unsigned kRoundElements = kWarp * kQuad;        // of a warp
constexpr unsigned kTile = kThreads * kQuad * kRounds;    // 4096 elements
constexpr unsigned kBlocksOfProcessor = 4;                // that run at once, by their registers
constexpr std::uint32_t kUnreached = kMagnitudeMask + 1;  // no magnitude is as large

inline std::uint64_t tiles_of(std::uint64_t n) noexcept {
    return (n + kTile - 1) / kTile;
}

// Blocks for so many tiles: as many as run at once, for each takes tiles until there are no more.
inline unsigned blocks_of_tiles(std::uint64_t tiles) noexcept {
    const std::uint64_t most = std::uint64_t{processors()} * kBlocksOfProcessor;
    return static_cast<unsigned>(tiles < most ? tiles : most);
}

struct Held {
    Quad<float> rounds[kRounds];
};

// The first element of this thread's quad of a round.
GRADWIRE_DEVICE std::uint64_t quad_of_tile(std::uint64_t tile, unsigned round) {
    return tile * kTile + (warp() * kRounds + round) * kRoundElements + lane() * kQuad;
}

// Several rounds are read before any is used, so that much of memory's latency passes at once.
template <bool whole, typename Source>
GRADWIRE_DEVICE Held hold_rounds(const Source& source, std::uint64_t tile, std::uint64_t n) {
    constexpr unsigned kAhead = Source::kAhead;
    static_assert(kRounds % kAhead == 0);
    Held held;
    GRADWIRE_UNROLL
    for (unsigned first = 0; first < kRounds; first += kAhead) {
        typename Source::Raw raw[kAhead];
        GRADWIRE_UNROLL
        for (unsigned a = 0; a < kAhead; ++a) {
            raw[a] = source.template load<whole>(quad_of_tile(tile, first + a), n);
        }
        GRADWIRE_UNROLL
        for (unsigned a = 0; a < kAhead; ++a) {
            held.rounds[first + a] = source.finish(raw[a], quad_of_tile(tile, first + a), n);
        }
    }
    return held;
}

template <typename Source>
GRADWIRE_DEVICE Held hold(const Source& source, std::uint64_t tile, std::uint64_t n) {
    return (tile + 1) * kTile <= n && source.in_words() ? hold_rounds<true>(source, tile, n)
                                                        : hold_rounds<false>(source, tile, n);
}

// Marks are bits, that of element j of a round being 4 * round + j: those with test(magnitude).
template <typename Test>
GRADWIRE_DEVICE std::uint32_t mark(const Held& held, Test test) {
    std::uint32_t marks = 0;
    GRADWIRE_UNROLL
    for (unsigned round = 0; round < kRounds; ++round) {
        GRADWIRE_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
            const bool hit = test(magnitude(held.rounds[round].at[j]));
            marks |= static_cast<std::uint32_t>(hit) << (kQuad * round + j);
        }
    }
    return marks;
}

GRADWIRE_DEVICE std::uint32_t marks_of_round(std::uint32_t marks, unsigned round) {
    return marks >> (kQuad * round) & ((1U << kQuad) - 1);
}

// How many marked elements of the warp come before this lane's, round by round, and in all.
struct Ranks {
    std::uint32_t rounds[kRounds];
    std::uint32_t total;
};

// A round has at most 128 marks in a warp: four counts make one word, and one scan.
GRADWIRE_DEVICE Ranks rank_in_warp(std::uint32_t marks) {
    std::uint32_t own = 0;
    GRADWIRE_UNROLL
    for (unsigned round = 0; round < kRounds; ++round) {
        own |= static_cast<std::uint32_t>(__popc(marks_of_round(marks, round))) << (8 * round);
    }
    std::uint32_t through = own;
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
        const std::uint32_t below = __shfl_up_sync(kFullWarp, through, distance);
        through += lane() >= distance ? below : 0;
    }
    const std::uint32_t all = __shfl_sync(kFullWarp, through, kWarp - 1);
    const std::uint32_t before = through - own;
    Ranks ranks{};
    GRADWIRE_UNROLL
    for (unsigned round = 0; round < kRounds; ++round) {
        ranks.rounds[round] = ranks.total + (before >> (8 * round) & 0xFFU);
        ranks.total += all >> (8 * round) & 0xFFU;
    }
    return ranks;
}

// Calls use(round, j, rank) for this thread's marked elements; ranks within the warp.
template <typename Use>
GRADWIRE_DEVICE void for_marked(std::uint32_t marks, const Ranks& ranks, Use use) {
    GRADWIRE_UNROLL
    for (unsigned round = 0; round < kRounds; ++round) {
        std::uint32_t rank = ranks.rounds[round];
        GRADWIRE_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
            if ((marks >> (kQuad * round + j) & 1U) != 0) {
                use(round, j, rank++);
            }
        }
    }
}

// The entries of marked elements, in order; those beyond the capacity are counted, not written.
// index_of(i) is the index that element i stands for. Returns how many there are through the end
// of this tile; room.tile is then the block's next one.
template <typename IndexOf>
GRADWIRE_DEVICE std::uint64_t emit(LookbackRoom& room, const Lookback& look, std::uint32_t tile,
                                   const Held& held, std::uint32_t marks, const Entries& out,
                                   IndexOf index_of) {
    const Ranks ranks = rank_in_warp(marks);
    const Sums sums = sums_before<true>(room, look, tile, ranks.total);
    for_marked(marks, ranks, [&](unsigned round, unsigned j, std::uint32_t rank) {
        const std::uint64_t place = sums.before + rank;
        if (place < out.capacity) {
            out.indices[place] = index_of(quad_of_tile(tile, round) + j);
            out.values[place] = held.rounds[round].at[j];
        }
    });
    return sums.through;
}

// The indices of a vector itself.
struct OwnIndices {
    GRADWIRE_DEVICE std::uint32_t operator()(std::uint64_t i) const {
        return static_cast<std::uint32_t>(i);
    }
};

// All tiles: the entries of the elements whose magnitude is at least `least`. The thread that knows
// their number, in the end, calls done(number). At least one block and one tile, also for n = 0.
template <typename Source, typename Done>
GRADWIRE_DEVICE void compact(LookbackRoom& room, const Lookback& look, const Source& source,
                             std::uint64_t n, std::uint32_t least, const Entries& out, Done done) {
    const std::uint64_t tiles = n == 0 ? 1 : (n + kTile - 1) / kTile;
    for (std::uint32_t tile = next_tile(room, look); tile < tiles; tile = room.tile) {
        const Held held = hold(source, tile, n);
        const std::uint32_t marks = mark(held, [=](std::uint32_t bits) { return bits >= least; });
        const std::uint64_t through = emit(room, look, tile, held, marks, out, OwnIndices{});
        if (tile == tiles - 1 && threadIdx.x == 0) {
            done(through);
        }
    }
}

}  // namespace cuda
}  // namespace gradwire
