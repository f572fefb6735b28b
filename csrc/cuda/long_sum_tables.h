// What the kernels of long_sums.cu leave for each other: of each sum, something of each tile.
#pragma once

#include <cstdint>

#include "gradwire/rounding_steps.h"
#include "queue.h"
#include "terms.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {
namespace long_sums {

constexpr unsigned kTile = 4096;            // elements
constexpr unsigned kTerms = kTile / kSums;  // of a sum in a tile
constexpr unsigned kWarps = kThreads / kWarp;
constexpr unsigned kWide = 1024;  // threads that look at all tiles of a sum
static_assert(kTile == kWarps * kChunk, "a warp has a chunk");

inline std::uint64_t tiles_of(std::uint64_t n) noexcept {
    return (n + kTile - 1) / kTile;
}

// Of each sum, for all tiles; then the sums themselves.
struct Tables {
    std::uint64_t tiles;
    double* before;  // what the tiles before add to a sum, nearly; first, what the tile itself adds
    std::uint64_t* even;
    std::uint64_t* odd;
    double* sums;
    std::uint32_t* exponents;

    Tables(std::uint64_t n, void* workspace) noexcept
        : tiles(tiles_of(n)),
          before(static_cast<double*>(workspace)),
          even(reinterpret_cast<std::uint64_t*>(before + kSums * tiles)),
          odd(even + kSums * tiles),
          sums(reinterpret_cast<double*>(odd + kSums * tiles)),
          exponents(reinterpret_cast<std::uint32_t*>(sums + kSums)) {}

    static std::uint64_t bytes(std::uint64_t n) noexcept {
        return kSums *
               (tiles_of(n) * (3 * sizeof(double) + sizeof(std::uint32_t)) + sizeof(double));
    }
    GRADWIRE_DEVICE std::uint64_t place(unsigned sum, std::uint64_t tile) const {
        return sum * tiles + tile;
    }
    GRADWIRE_DEVICE Run run(unsigned sum, std::uint64_t tile) const {
        const std::uint64_t at = place(sum, tile);
        return {even[at], odd[at], exponents[at]};
    }
};

// The tiles that this thread of kWide looks at.
struct Share {
    std::uint64_t begin, end;

    GRADWIRE_DEVICE explicit Share(std::uint64_t tiles) {
        const std::uint64_t each = (tiles + kWide - 1) / kWide;
        begin = threadIdx.x * each < tiles ? threadIdx.x * each : tiles;
        end = begin + each < tiles ? begin + each : tiles;
    }
};

}  // namespace long_sums
}  // namespace cuda
}  // namespace gradwire
