// The exact k-th largest magnitude by histograms of its bits, digit by digit, without a host that
// looks on: blocks count in their own memory, add up what they have, and the one that comes last
// finds the bin. Zeros are never counted.
#pragma once

#include <cstdint>

#include "compact.h"
#include "gradwire/magnitude.h"
#include "queue.h"
#include "sources.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {

struct Digit {
    unsigned shift;
    unsigned bits;
};

// 13 bits first (exponent and 5 of the mantissa): the k-th bin of gradient-like data then holds
// well under one percent of the elements.
constexpr Digit kDigits[] = {{18, 13}, {9, 9}, {0, 9}};
constexpr unsigned kBins = 1U << 13;

// In device memory; all zeros at first, and bins and `done` again after each digit.
struct Counts {
    std::uint32_t bins[kBins];
    std::uint32_t done;  // blocks
};

// A bin of a digit, and how many of those counted lie above it and in it.
struct Bin {
    std::uint32_t found;  // 0: fewer were counted than asked for
    std::uint32_t number;
    std::uint32_t above;
    std::uint32_t inside;
};

// Neighbouring bins lie in different banks, and so do those 32 apart.
constexpr unsigned kSlots = kBins + kBins / 32;
GRADWIRE_DEVICE unsigned slot(unsigned bin) {
    return bin + bin / 32;
}

struct DigitRoom {  // shared by a block
    std::uint32_t counts[kSlots];
    std::uint32_t totals[kThreads / kWarp];
    Bin bin;
    std::uint32_t last;
};

GRADWIRE_DEVICE void clear_counts(DigitRoom& room, Digit digit) {
    for (unsigned b = threadIdx.x; b < 1U << digit.bits; b += blockDim.x) {
        room.counts[slot(b)] = 0;
    }
    __syncthreads();
}

// Counts what has `prefix` above the digit. By whole warps: where all they have lies in one bin, as
// in vectors of equal magnitudes, one lane counts for all.
GRADWIRE_DEVICE void count_quad(DigitRoom& room, Digit digit, std::uint32_t prefix,
                                const Quad<float>& quad) {
    const std::uint32_t mask = (1U << digit.bits) - 1;
    std::uint32_t hits = 0, bins[kQuad];
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
        const std::uint32_t bits = magnitude(quad.at[j]);
        const bool hit = bits != 0 && bits >> digit.shift >> digit.bits == prefix;
        hits += static_cast<std::uint32_t>(hit);
        bins[j] = hit ? bits >> digit.shift & mask : kBins;
    }
    const std::uint32_t first = __shfl_sync(kFullWarp, bins[0], 0);
    const bool same = bins[0] == first && bins[1] == first && bins[2] == first && bins[3] == first;
    if (__all_sync(kFullWarp, same)) {
        if (first != kBins && lane() == 0) {
            atomicAdd(&room.counts[slot(first)], kWarp * kQuad);
        }
        return;
    }
    if (hits != 0) {
        GRADWIRE_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
            if (bins[j] != kBins) {
                atomicAdd(&room.counts[slot(bins[j])], 1U);
            }
        }
    }
}

// Adds the block's counts to those of all, if it has any. True in the block that comes last, which
// then has everybody's in its room, and leaves zeros behind.
GRADWIRE_DEVICE bool add_up_counts(DigitRoom& room, Digit digit, bool any, Counts* all) {
    __syncthreads();
    for (unsigned b = threadIdx.x; any && b < 1U << digit.bits; b += blockDim.x) {
        if (room.counts[slot(b)] != 0) {
            atomicAdd(&all->bins[b], room.counts[slot(b)]);
        }
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        room.last = static_cast<std::uint32_t>(atomicAdd(&all->done, 1U) == gridDim.x - 1);
    }
    __syncthreads();
    if (room.last == 0) {
        return false;
    }
    __threadfence();
    for (unsigned b = threadIdx.x; b < 1U << digit.bits; b += blockDim.x) {
        room.counts[slot(b)] = __ldcg(&all->bins[b]);
        all->bins[b] = 0;
    }
    if (threadIdx.x == 0) {
        all->done = 0;
    }
    __syncthreads();
    return true;
}

// The sum of `own` over the threads before this one, of kThreads.
GRADWIRE_DEVICE std::uint32_t sum_of_threads_before(DigitRoom& room, std::uint32_t own) {
    std::uint32_t through = own;
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
        const std::uint32_t below = __shfl_up_sync(kFullWarp, through, distance);
        through += lane() >= distance ? below : 0;
    }
    if (lane() == kWarp - 1) {
        room.totals[warp()] = through;
    }
    __syncthreads();
    std::uint32_t before = through - own;
    for (unsigned w = 0; w < warp(); ++w) {
        before += room.totals[w];
    }
    return before;
}

// The bin that holds the k-th largest (k >= 1) of those counted; thread t looks at the t-th part of
// the bins, from above. kThreads threads.
GRADWIRE_DEVICE Bin find_bin(DigitRoom& room, Digit digit, std::uint32_t k) {
    const unsigned part = (1U << digit.bits) / kThreads;
    const unsigned top = (1U << digit.bits) - 1 - threadIdx.x * part;
    std::uint32_t own = 0;
    for (unsigned b = 0; b < part; ++b) {
        own += room.counts[slot(top - b)];
    }
    if (threadIdx.x == 0) {
        room.bin = {0, 0, 0, 0};
    }
    std::uint32_t above = sum_of_threads_before(room, own);
    if (above < k && own >= k - above) {
        unsigned bin = top;
        for (; room.counts[slot(bin)] < k - above; --bin) {
            above += room.counts[slot(bin)];
        }
        room.bin = {1, bin, above, room.counts[slot(bin)]};
    }
    __syncthreads();
    return room.bin;
}

// Counts a digit of all of a vector; blocks take every gridDim-th tile.
template <typename T>
GRADWIRE_DEVICE bool count_all(DigitRoom& room, Digit digit, std::uint32_t prefix, const T* x,
                               std::uint64_t n, Counts* all) {
    const std::uint64_t tiles = (n + kTile - 1) / kTile;
    const bool any = blockIdx.x < tiles;
    if (any) {
        clear_counts(room, digit);
    }
    for (std::uint64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const Held held = hold(Plain<T>{x}, tile, n);
        GRADWIRE_UNROLL
        for (unsigned round = 0; round < kRounds; ++round) {
            count_quad(room, digit, prefix, held.rounds[round]);
        }
    }
    return add_up_counts(room, digit, any, all);
}

}  // namespace cuda
}  // namespace gradwire
