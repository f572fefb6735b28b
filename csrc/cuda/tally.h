// Counting in tables: a block's own in its memory, or one for the grid that is too large for that.
#pragma once

#include <cstdint>

#include "reduce.h"

namespace gradwire {
inline namespace cuda {

// Bits of a magnitude, and what those above must be.
struct Field {
    unsigned shift;
    unsigned bits;
    std::uint32_t prefix;

    GRADWIRE_DEVICE bool has(std::uint32_t magnitude) const {
        // Zeros are not counted: in sparse vectors all threads would wait for one counter.
        return magnitude != 0 && magnitude >> (shift + bits) == prefix;
    }
    GRADWIRE_DEVICE std::uint32_t bin(std::uint32_t magnitude) const {
        return (magnitude >> shift) & ((1U << bits) - 1);
    }
};

GRADWIRE_DEVICE void add_to(std::uint32_t* counter, std::uint32_t count) {
    atomicAdd(counter, count);
}
GRADWIRE_DEVICE void add_to(std::uint64_t* counter, std::uint32_t count) {
    atomicAdd(reinterpret_cast<unsigned long long*>(counter),
              static_cast<unsigned long long>(count));
}

// ---- tables of a block ----

constexpr unsigned kTableBits = 13;  // 32 KB: exponent and 5 bits of the mantissa

// A table, or several of fewer bins that the warps share: many that add to one counter wait.
struct Tables {
    std::uint32_t counts[1U << kTableBits];
};

constexpr unsigned kMostTables = 16;

GRADWIRE_DEVICE unsigned tables_of(unsigned bits) {
    const unsigned room = 1U << (kTableBits - bits);
    return room < kMostTables ? room : kMostTables;
}

// The table of this thread; all are cleared.
GRADWIRE_DEVICE std::uint32_t* begin_tables(Tables& tables, unsigned bits) {
    const unsigned number = tables_of(bits);
    for (unsigned b = threadIdx.x; b < number << bits; b += blockDim.x) {
        tables.counts[b] = 0;
    }
    __syncthreads();
    return tables.counts + (warp() % number << bits);
}

// Adds them to the counts of the grid.
template <typename Count>
GRADWIRE_DEVICE void end_tables(const Tables& tables, unsigned bits, Count* counts) {
    __syncthreads();
    for (unsigned b = threadIdx.x; b < 1U << bits; b += blockDim.x) {
        std::uint32_t count = 0;
        for (unsigned table = 0; table < tables_of(bits); ++table) {
            count += tables.counts[(table << bits) + b];
        }
        if (count != 0) {
            add_to(counts + b, count);
        }
    }
}

// ---- one table of the grid ----

constexpr unsigned kCacheSlots = 4096;
constexpr std::uint32_t kFreeSlot = 0xFFFFFFFFU;

// Counts the bins that a block meets first, at most one of those that share a slot, in the memory
// of the block: those that hold much are among them.
struct Slots {
    std::uint32_t bins[kCacheSlots];
    std::uint32_t counts[kCacheSlots];
};

GRADWIRE_DEVICE void begin_slots(Slots& slots) {
    for (unsigned s = threadIdx.x; s < kCacheSlots; s += blockDim.x) {
        slots.bins[s] = kFreeSlot;
        slots.counts[s] = 0;
    }
    __syncthreads();
}

template <typename Count>
GRADWIRE_DEVICE void count_one(Slots& slots, std::uint32_t bin, Count* counts) {
    // Values of few bits differ in their leading ones.
    const unsigned s = (bin ^ (bin >> 7)) % kCacheSlots;
    std::uint32_t owner = slots.bins[s];
    if (owner == kFreeSlot) {
        owner = atomicCAS(&slots.bins[s], kFreeSlot, bin);
        owner = owner == kFreeSlot ? bin : owner;
    }
    if (owner == bin) {
        atomicAdd(&slots.counts[s], 1U);
    } else {
        add_to(counts + bin, 1);
    }
}

template <typename Count>
GRADWIRE_DEVICE void end_slots(const Slots& slots, Count* counts) {
    __syncthreads();
    for (unsigned s = threadIdx.x; s < kCacheSlots; s += blockDim.x) {
        if (slots.counts[s] != 0) {
            add_to(counts + slots.bins[s], slots.counts[s]);
        }
    }
}

// ---- where the k-th largest lies ----

struct TableBin {
    std::uint32_t number;
    std::uint32_t above;  // counted in higher bins: fewer than k
    bool found;
};

// Of blockDim.x * of_thread bins the one that holds the k-th largest of what was counted; by all
// threads of a block, which all get it. The counts are the grid's; fewer than 2^32 in all.
template <unsigned of_thread>
GRADWIRE_DEVICE TableBin find_table_bin(const std::uint32_t* counts, std::uint64_t k) {
    struct Room {
        TableBin bin;
    };
    GRADWIRE_SHARED(Room, room);
    const std::uint32_t first = (blockDim.x - 1 - threadIdx.x) * of_thread;
    std::uint32_t own[of_thread];
    std::uint32_t sum = 0;
    for (unsigned b = 0; b < of_thread; ++b) {
        own[b] = __ldcg(counts + first + b);
        sum += own[b];
    }
    const SumSoFar<std::uint32_t> sums = block_sum_so_far(sum);
    if (threadIdx.x == 0) {
        room.bin = {0, 0, false};
    }
    __syncthreads();
    std::uint32_t above = sums.before;
    for (unsigned b = of_thread; b-- > 0;) {
        if (above < k && k - above <= own[b]) {
            room.bin = {first + b, above, true};
        }
        above += own[b];
    }
    __syncthreads();
    return room.bin;
}

}  // namespace cuda
}  // namespace gradwire
