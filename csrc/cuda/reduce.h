// Maxima and integer sums over the threads of a warp, a block and a grid. None depends on an order.
#pragma once

#include <cstdint>

#include "simt.h"

namespace gradwire {
inline namespace cuda {

// Every lane gets the result.
GRADWIRE_DEVICE std::uint32_t warp_largest(std::uint32_t value) {
    for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
        const std::uint32_t other = __shfl_xor_sync(kFullWarp, value, static_cast<int>(distance));
        value = value < other ? other : value;
    }
    return value;
}

// The sum of the values of this lane and those before it.
template <typename T>
GRADWIRE_DEVICE T warp_sum_so_far(T value) {
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
        const T other = __shfl_up_sync(kFullWarp, value, distance);
        value += lane() < distance ? T{} : other;
    }
    return value;
}

// Of the block; every thread gets the result.
GRADWIRE_DEVICE std::uint32_t block_largest(std::uint32_t value) {
    struct Room {
        std::uint32_t of_warp[kWarp];
    };
    GRADWIRE_SHARED(Room, room);
    __syncthreads();  // room may still be read from the last time
    value = warp_largest(value);
    if (lane() == 0) {
        room.of_warp[warp()] = value;
    }
    __syncthreads();
    return warp_largest(lane() < blockDim.x / kWarp ? room.of_warp[lane()] : 0);
}

template <typename T>
struct SumSoFar {
    T before;  // of the threads before this one
    T all;     // of the block
};

template <typename T>
GRADWIRE_DEVICE SumSoFar<T> block_sum_so_far(T value) {
    struct Room {
        T of_warp[kWarp];
    };
    GRADWIRE_SHARED(Room, room);
    __syncthreads();
    const T inside = warp_sum_so_far(value);
    if (lane() == kWarp - 1) {
        room.of_warp[warp()] = inside;
    }
    __syncthreads();
    const T warps = warp_sum_so_far(lane() < blockDim.x / kWarp ? room.of_warp[lane()] : T{});
    const T all = __shfl_sync(kFullWarp, warps, static_cast<int>(kWarp - 1));
    const T own = room.of_warp[warp()];
    const T to_here = __shfl_sync(kFullWarp, warps, static_cast<int>(warp()));
    return {to_here - own + inside - value, all};
}

// True in all threads of one block: the last of the grid that gets here. It sees what all blocks
// wrote before; it must read it with __ldcg. `arrived` is 0 before the launch.
GRADWIRE_DEVICE bool is_last_block(std::uint32_t* arrived) {
    struct Room {
        bool last;
    };
    GRADWIRE_SHARED(Room, room);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        room.last = atomicAdd(arrived, 1U) == gridDim.x - 1;
    }
    __syncthreads();
    __threadfence();
    return room.last;
}

}  // namespace cuda
}  // namespace gradwire
