// Up to 16 sorted runs in the memory of a block become one, by rounds of pairs. Equal indices stay
// in the order of their runs.
#pragma once

#include <cstdint>

#include "simt.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kWays = 16;           // runs at most
constexpr unsigned kMergeThreads = 512;  // of a block
constexpr unsigned kMergeOwn = 9;        // entries of a thread; odd, so that their banks differ
constexpr unsigned kMergeRoom = kMergeThreads * kMergeOwn;

struct MergeRoom {
    std::uint32_t indices[kMergeRoom];
    float values[kMergeRoom];
    std::uint32_t bounds[kWays + 1];  // where each run begins; its end
};

// Two neighbours among groups of `width` runs: the first and the second half of what they become.
struct Pair {
    std::uint32_t first;
    std::uint32_t first_end;
    std::uint32_t second;
    std::uint32_t second_end;

    GRADWIRE_DEVICE bool at_end() const { return first == first_end && second == second_end; }
};

GRADWIRE_DEVICE Pair pair_of(const MergeRoom& room, unsigned ways, unsigned width,
                             unsigned number) {
    const auto bound = [&](unsigned group) {
        const unsigned run = group * width;
        return room.bounds[run < ways ? run : ways];
    };
    const std::uint32_t middle = bound(2 * number + 1);
    return {bound(2 * number), middle, middle, bound(2 * number + 2)};
}

// Moves on to where the first `count` entries of the pair are through: how many of them are the
// first half's is found by bisection (Odeh et al., "Merge path", 2012).
GRADWIRE_DEVICE void skip(const MergeRoom& room, Pair& pair, std::uint32_t count) {
    const std::uint32_t in_first = pair.first_end - pair.first;
    const std::uint32_t in_second = pair.second_end - pair.second;
    std::uint32_t low = count > in_second ? count - in_second : 0;
    std::uint32_t high = count < in_first ? count : in_first;
    while (low < high) {
        const std::uint32_t middle = (low + high) / 2;
        if (room.indices[pair.first + middle] <= room.indices[pair.second + count - 1 - middle]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    pair.first += low;
    pair.second += count - low;
}

// One round, of all pairs; by all threads of the block. Behind the last entry there is room for one
// more, which is read and not used.
GRADWIRE_DEVICE void merge_pairs(MergeRoom& room, unsigned ways, unsigned width,
                                 std::uint32_t total) {
    const std::uint32_t begin = threadIdx.x * kMergeOwn;
    std::uint32_t indices[kMergeOwn];
    float values[kMergeOwn];
    if (begin < total) {
        unsigned number = 0;
        Pair pair = pair_of(room, ways, width, 0);
        while (pair.second_end <= begin) {
            pair = pair_of(room, ways, width, ++number);
        }
        skip(room, pair, begin - pair.first);
        std::uint32_t left = room.indices[pair.first], right = room.indices[pair.second];
        GRADWIRE_UNROLL
        for (unsigned j = 0; j < kMergeOwn; ++j) {
            if (begin + j >= total) {
                continue;  // not break: arrays are in registers where loops are rolled out
            }
            while (pair.at_end()) {
                pair = pair_of(room, ways, width, ++number);
                left = room.indices[pair.first];
                right = room.indices[pair.second];
            }
            const bool from_left =
                pair.second == pair.second_end || (pair.first != pair.first_end && left <= right);
            const std::uint32_t from = from_left ? pair.first++ : pair.second++;
            indices[j] = from_left ? left : right;
            values[j] = room.values[from];
            const std::uint32_t next = room.indices[from + 1];
            left = from_left ? next : left;
            right = from_left ? right : next;
        }
    }
    __syncthreads();
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kMergeOwn; ++j) {
        if (begin + j < total) {
            room.indices[begin + j] = indices[j];
            room.values[begin + j] = values[j];
        }
    }
    __syncthreads();
}

GRADWIRE_DEVICE void merge_runs(MergeRoom& room, unsigned ways, std::uint32_t total) {
    for (unsigned width = 1; width < ways; width *= 2) {
        merge_pairs(room, ways, width, total);
    }
}

}  // namespace cuda
}  // namespace gradwire
