// One read of x: sizeof(T) bytes per element, and 16 for each 32,768 elements.
//
// Sixteen lanes of a warp are those of a tile: each adds its 256 terms one after the other, as the
// specification has it, with sixteen reads on their way. Sums of tiles are joined pairwise: eight
// in a block, the rest by one block in the end. Additions are commutative to the bit, so both of a
// pair may compute their sum.
#include <cmath>

#include "queue.h"
#include "statistics.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kLanes = 16;
constexpr unsigned kRows = 256;
constexpr unsigned kTile = kRows * kLanes;
constexpr unsigned kRowsAtOnce = 16;

constexpr unsigned kTileLevels = 3;  // of the tree, in a block
constexpr unsigned kTiles = 1U << kTileLevels;
constexpr unsigned kAdding = kTiles * kLanes;
constexpr unsigned kJoining = 512;
constexpr unsigned kWarpLevels = 5;
constexpr unsigned kMostLevels = 32;

// Workspace: the sums of complete blocks; as much again for the next levels; the sums of the tiles
// that no complete block has.
struct Sums {
    double* blocks;
    double* next;
    double* rest;
};

std::uint64_t tiles_of(std::uint64_t n) noexcept {
    return (n + kTile - 1) / kTile;
}

template <typename T>
GRADWIRE_DEVICE float load_once(const T* x) {
    if constexpr (sizeof(T) == 2) {
        return to_float(T{__ldcs(reinterpret_cast<const unsigned short*>(x))});
    } else {
        return to_float(__ldcs(x));
    }
}

// The sum of a lane's terms; behind the end of x they are zeros.
template <typename T>
GRADWIRE_DEVICE double add_lane(const T* x, std::uint64_t first, std::uint64_t n, unsigned order) {
    double sum = 0.0;
    for (unsigned row = 0; row < kRows; row += kRowsAtOnce) {
        float values[kRowsAtOnce];
        GRADWIRE_UNROLL
        for (unsigned r = 0; r < kRowsAtOnce; ++r) {
            const std::uint64_t i = first + (row + r) * kLanes;
            values[r] = i < n ? load_once(x + i) : 0.0F;
        }
        GRADWIRE_UNROLL
        for (unsigned r = 0; r < kRowsAtOnce; ++r) {
            const double wide = static_cast<double>(values[r]);
            const double term = order == 1 ? (wide < 0.0 ? -wide : wide) : wide * wide;
            sum = sum + term;
        }
    }
    return sum;
}

template <typename T>
__global__ void __launch_bounds__(kAdding)
    tiles_kernel(const T* x, std::uint64_t n, unsigned order, std::uint64_t tiles, Sums sums) {
    struct Room {
        double tiles[kTiles];
    };
    GRADWIRE_SHARED(Room, room);
    const std::uint64_t first_tile = std::uint64_t{blockIdx.x} * kTiles;
    const unsigned tile = threadIdx.x / kLanes;
    const std::uint64_t first = (first_tile + tile) * kTile + threadIdx.x % kLanes;
    double sum = add_lane(x, first, n, order);
    for (unsigned distance = 1; distance < kLanes; distance *= 2) {
        sum = sum + __shfl_xor_sync(kFullWarp, sum, static_cast<int>(distance));
    }
    if (threadIdx.x % kLanes == 0) {
        room.tiles[tile] = sum;
    }
    __syncthreads();
    if (first_tile + kTiles > tiles) {
        if (first_tile + threadIdx.x < tiles) {
            sums.rest[threadIdx.x] = room.tiles[threadIdx.x];
        }
    } else if (threadIdx.x == 0) {
        const double* const t = room.tiles;
        sums.blocks[blockIdx.x] = ((t[0] + t[1]) + (t[2] + t[3])) + ((t[4] + t[5]) + (t[6] + t[7]));
    }
}

// Adds the runs of 1, 2 and 4 that a number below 8 of sums consists of, the last ones first.
GRADWIRE_DEVICE double join_rest(const double* rest, unsigned count) {
    double total = 0.0;
    const double* end = rest + count;
    if ((count & 1U) != 0) {
        end -= 1;
        total = end[0] + total;
    }
    if ((count & 2U) != 0) {
        end -= 2;
        total = (end[0] + end[1]) + total;
    }
    if ((count & 4U) != 0) {
        end -= 4;
        total = ((end[0] + end[1]) + (end[2] + end[3])) + total;
    }
    return total;
}

// One block. Where a level has an odd number of sums, its last one goes into the total as it is.
__global__ void __launch_bounds__(kJoining)
    join_kernel(std::uint64_t tiles, unsigned order, Sums sums, double* result) {
    struct Room {
        double left[kMostLevels];
    };
    GRADWIRE_SHARED(Room, room);
    const std::uint64_t blocks = tiles / kTiles;
    double* from = sums.blocks;
    double* to = sums.next;
    unsigned level = 0;
    for (std::uint64_t count = blocks; count != 0; count >>= kWarpLevels, level += kWarpLevels) {
        for (std::uint64_t first = 0; first < count; first += kJoining) {
            const std::uint64_t i = first + threadIdx.x;
            double sum = i < count ? from[i] : 0.0;
            for (unsigned l = 0; l < kWarpLevels; ++l) {
                const std::uint64_t here = count >> l;
                if ((here & 1U) != 0 && i == (here - 1) << l) {
                    room.left[level + l] = sum;
                }
                sum = sum + __shfl_xor_sync(kFullWarp, sum, 1 << l);
            }
            if (i % kWarp == 0 && i >> kWarpLevels < count >> kWarpLevels) {
                to[i >> kWarpLevels] = sum;
            }
        }
        __syncthreads();
        double* const joined = to;
        to = from;
        from = joined;
    }
    if (threadIdx.x == 0) {
        double total = join_rest(sums.rest, static_cast<unsigned>(tiles % kTiles));
        for (unsigned l = 0; blocks >> l != 0; ++l) {
            if ((blocks >> l & 1U) != 0) {
                total = room.left[l] + total;
            }
        }
        *result = order == 1 ? total : sqrt(total);
    }
}

}  // namespace

std::uint64_t norm_workspace(std::uint64_t n) noexcept {
    return (tiles_of(n) / kTiles * 2 + kTiles) * sizeof(double);
}

template <typename T>
void enqueue_norm(const T* x, std::uint64_t n, unsigned order, void* workspace,
                  double* result) noexcept {
    const std::uint64_t tiles = tiles_of(n);
    auto* const memory = static_cast<double*>(workspace);
    const Sums sums{memory, memory + tiles / kTiles, memory + tiles / kTiles * 2};
    launch(blocks_for(tiles, kTiles), kAdding, tiles_kernel<T>, x, n, order, tiles, sums);
    launch(1, kJoining, join_kernel, tiles, order, sums, result);
}

template <typename T>
void norm(const T* x, std::uint64_t n, unsigned order, double* result) noexcept {
    const std::uint64_t bytes = norm_workspace(n);
    const Scratch scratch(bytes + sizeof(double));
    double* const found = scratch.as<double>(bytes);
    enqueue_norm(x, n, order, scratch.as<void>(), found);
    *result = fetch(found);
}

#define GRADWIRE_INSTANTIATE(T)                                                             \
    template void enqueue_norm(const T*, std::uint64_t, unsigned, void*, double*) noexcept; \
    template void norm(const T*, std::uint64_t, unsigned, double*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace cuda
}  // namespace gradwire
