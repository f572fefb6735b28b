// Reading a whole vector in no particular order, as fast as memory gives it: by a grid that stays,
// 16 bytes at a time wherever the vector begins, with four reads on their way in each thread.
#pragma once

#include <cstdint>
#include <cstring>

#include "queue.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kPackBytes = 16;
constexpr unsigned kPacksAtOnce = 4;

template <typename T>
constexpr unsigned kPackSize = kPackBytes / sizeof(T);

template <typename T>
struct Pack {
    T at[kPackSize<T>];
};

template <typename T>
GRADWIRE_DEVICE Pack<T> load_pack(const T* x) {
    const uint4 word = __ldcs(reinterpret_cast<const uint4*>(x));
    Pack<T> pack;
    memcpy(&pack, &word, sizeof pack);
    return pack;
}

// Elements i, i + 1, ... of x; zeros for those outside [begin, end).
template <typename T>
GRADWIRE_DEVICE Pack<T> load_part(const T* x, std::uint64_t i, std::uint64_t begin,
                                  std::uint64_t end) {
    Pack<T> pack;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kPackSize<T>; ++j) {
        pack.at[j] = i + j >= begin && i + j < end ? x[i + j] : T{};
    }
    return pack;
}

// Calls work(float) with every element of x, and with zeros besides; in all threads of a block
// equally often.
template <typename T, typename Work>
GRADWIRE_DEVICE void sweep(const T* x, std::uint64_t n, Work&& work) {
    const std::uint64_t begin = reinterpret_cast<std::uintptr_t>(x) % kPackBytes / sizeof(T);
    const std::uint64_t end = begin + n;
    const T* const start = x - begin;  // of packs
    const std::uint64_t row = std::uint64_t{blockDim.x} * kPackSize<T>;
    const std::uint64_t round = kPacksAtOnce * row;
    for (std::uint64_t first = blockIdx.x * round; first < end; first += gridDim.x * round) {
        const std::uint64_t i = first + threadIdx.x * kPackSize<T>;
        Pack<T> packs[kPacksAtOnce];
        if (first >= begin && first + round <= end) {
            GRADWIRE_UNROLL
            for (unsigned p = 0; p < kPacksAtOnce; ++p) {
                packs[p] = load_pack(start + i + p * row);
            }
        } else {
            GRADWIRE_UNROLL
            for (unsigned p = 0; p < kPacksAtOnce; ++p) {
                packs[p] = load_part(start, i + p * row, begin, end);
            }
        }
        GRADWIRE_UNROLL
        for (unsigned p = 0; p < kPacksAtOnce; ++p) {
            GRADWIRE_UNROLL
            for (unsigned j = 0; j < kPackSize<T>; ++j) {
                work(to_float(packs[p].at[j]));
            }
        }
    }
}

// Blocks for a sweep; one at least, for what else there is to do.
template <typename T>
unsigned sweep_blocks(std::uint64_t n, unsigned threads, unsigned blocks_per_processor) noexcept {
    const std::uint64_t of_block = std::uint64_t{threads} * kPackSize<T> * kPacksAtOnce;
    const unsigned most = processors() * blocks_per_processor;
    const unsigned needed = blocks_for(n + kPackSize<T>, of_block);
    return needed < most ? needed : most;
}

}  // namespace cuda
}  // namespace gradwire
