// Reads every element once: sizeof(T) bytes, or 4 more where a residual is added.
//
// Largest magnitudes and extremes are maxima of integers, so a block is cut into pieces, one to a
// warp, whose maxima meet in the memory of the scales; another kernel makes scales of them. Sums of
// float64 are added in the order of the specification: a thread block loads a tile of its block of
// elements while 16 of its lanes add the last one. One long block of everything: see long_sums.h.
#include "block_scales.h"
#include "chunk_scales.h"
#include "keys.h"
#include "long_sums.h"
#include "terms.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kPiece = 8 * kChunk;  // elements of a warp

// The part of a block of elements that a warp looks at.
struct Piece {
    std::uint64_t block;  // number
    std::uint64_t begin, end;
};

struct Pieces {
    std::uint64_t n;
    std::uint64_t length;   // of a block
    std::uint64_t in_each;  // pieces of a block

    Pieces(std::uint64_t n_, std::uint64_t block)
        : n(n_), length(block == 0 ? n_ : block), in_each((length + kPiece - 1) / kPiece) {}

    GRADWIRE_BOTH std::uint64_t count() const { return (n + length - 1) / length * in_each; }
    GRADWIRE_DEVICE Piece piece(std::uint64_t number) const {
        const std::uint64_t block = number / in_each;
        const std::uint64_t begin = block * length + number % in_each * kPiece;
        const std::uint64_t block_end = (block + 1) * length < n ? (block + 1) * length : n;
        return {block, begin, begin + kPiece < block_end ? begin + kPiece : block_end};
    }
};

GRADWIRE_DEVICE std::uint32_t largest_in_warp(std::uint32_t word) {
    for (int distance = kWarp / 2; distance != 0; distance /= 2) {
        word = larger_word(word, __shfl_xor_sync(kFullWarp, word, distance));
    }
    return word;
}

// Most warps find what is there large enough.
GRADWIRE_DEVICE void raise(std::uint32_t* p, std::uint32_t word) {
    if (__ldcg(p) < word) {
        atomicMax(p, word);
    }
}

// keys: zeros before; one word for each block, with minmax two.
template <bool minmax, typename Input>
__global__ void __launch_bounds__(kThreads)
    find_largest_kernel(Input input, Pieces pieces, std::uint32_t* keys) {
    const std::uint64_t number = own_warp();
    if (number >= pieces.count()) {
        return;
    }
    const Piece piece = pieces.piece(number);
    Keys most{0, 0};
    for (std::uint64_t begin = piece.begin; begin < piece.end; begin += kChunk) {
        const WarpChunk chunk{begin, piece.end};
        const ChunkFloats x = load_chunk(input, chunk);
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < kQuads; ++q) {
            if constexpr (minmax) {
                most = larger_keys(most, extreme_keys(x.quad[q], chunk.element(q), piece.end));
            } else {
                most.high = larger_word(most.high, largest_magnitude(x.quad[q]));
            }
        }
    }
    const std::uint32_t high = largest_in_warp(most.high);
    if constexpr (minmax) {
        const std::uint32_t low = largest_in_warp(most.low);
        if (lane() == 0) {
            raise(keys + 2 * piece.block, low);
            raise(keys + 2 * piece.block + 1, high);
        }
    } else if (lane() == 0) {
        raise(keys + piece.block, high);
    }
}

// In place.
template <bool minmax>
__global__ void __launch_bounds__(kThreads)
    finish_scales_kernel(std::uint64_t count, float* scales) {
    const std::uint64_t i = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= count) {
        return;
    }
    if constexpr (minmax) {
        const Extremes found =
            extremes_of({float_bits(scales[2 * i]), float_bits(scales[2 * i + 1])});
        scales[2 * i] = found.low;
        scales[2 * i + 1] = found.high;
    } else {
        scales[i] = absmax_of(float_bits(scales[i]));
    }
}

template <bool minmax, typename Input>
void enqueue_largest(const Input& input, std::uint64_t n, std::uint64_t block,
                     float* scales) noexcept {
    const std::uint64_t count = block_count(n, block);
    const Pieces pieces(n, block);
    set_bytes(scales, 0, count * (minmax ? 2 : 1) * sizeof *scales);
    launch(blocks_for(pieces.count(), kThreads / kWarp), kThreads,
           find_largest_kernel<minmax, Input>, input, pieces,
           reinterpret_cast<std::uint32_t*>(scales));
    launch(blocks_for(count, kThreads), kThreads, finish_scales_kernel<minmax>, count, scales);
}

// ---- sums ----

constexpr unsigned kAdders = 128;  // threads of a block
constexpr unsigned kTile = kAdders / kWarp * kChunk;

struct Tile {
    alignas(16) float x[kTile];
};

// Puts what comes behind the tile's end as zeros, which change no sum.
template <typename Input>
GRADWIRE_DEVICE ChunkFloats load_of_tile(const Input& input, std::uint64_t begin,
                                         std::uint64_t end) {
    return load_chunk(input, WarpChunk{begin + warp() * kChunk, end});
}

template <typename Term, typename Input>
__global__ void __launch_bounds__(kAdders)
    add_terms_kernel(Input input, std::uint64_t n, std::uint64_t length, float* scales) {
    GRADWIRE_SHARED(Tile, tile);
    const std::uint64_t first = blockIdx.x * length;
    const std::uint64_t end = first + length < n ? first + length : n;
    double sum = 0.0;
    ChunkFloats next = load_of_tile(input, first, end);
    for (std::uint64_t begin = first; begin < end; begin += kTile) {
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < kQuads; ++q) {
            const Quad<float>& quad = next.quad[q];
            *reinterpret_cast<float4*>(tile.x + warp() * kChunk + WarpChunk::offset(q)) =
                make_float4(quad.at[0], quad.at[1], quad.at[2], quad.at[3]);
        }
        __syncthreads();
        next = load_of_tile(input, begin + kTile, end);
        if (warp() == 0) {
            const auto size =
                end - begin < kTile ? static_cast<unsigned>(end - begin) : unsigned{kTile};
            for (unsigned i = lane() % kSums; i < (size + kSums - 1) / kSums * kSums; i += kSums) {
                sum = sum + Term::term(tile.x[i]);
            }
        }
        __syncthreads();
    }
    if (warp() == 0) {
        sum = add_sums(sum);
        if (lane() == 0) {
            scales[blockIdx.x] = Term::scale(sum, end - first);
        }
    }
}

bool is_long(std::uint64_t n, std::uint64_t block) noexcept {
    return block == 0 && n > kLong;
}

template <typename Term, typename Input>
void enqueue_sums(const Input& input, std::uint64_t n, std::uint64_t block, float* scales,
                  void* workspace) noexcept {
    if (is_long(n, block)) {
        enqueue_long_sum<Term>(input, n, scales, workspace);
        return;
    }
    launch(static_cast<unsigned>(block_count(n, block)), kAdders, add_terms_kernel<Term, Input>,
           input, n, block == 0 ? n : block, scales);
}

}  // namespace

std::uint64_t block_scales_workspace(std::uint64_t n, std::uint64_t block, bool sums) noexcept {
    return sums && is_long(n, block) ? long_sum_workspace(n) : 0;
}

template <typename Input>
void enqueue_block_scales(const Input& input, std::uint64_t n, std::uint64_t block, Scale scale,
                          float* scales, void* workspace) noexcept {
    if (n == 0) {
        return;
    }
    if (scale == Scale::absmax) {
        enqueue_largest<false>(input, n, block, scales);
    } else if (scale == Scale::minmax) {
        enqueue_largest<true>(input, n, block, scales);
    } else {
        enqueue_sums<Squares>(input, n, block, scales, workspace);
    }
}

template <typename Input>
void enqueue_block_means(const Input& input, std::uint64_t n, std::uint64_t block, float* scales,
                         void* workspace) noexcept {
    if (n != 0) {
        enqueue_sums<Magnitudes>(input, n, block, scales, workspace);
    }
}

#define GRADWIRE_INSTANTIATE(Input)                                                               \
    template void enqueue_block_scales(const Input&, std::uint64_t, std::uint64_t, Scale, float*, \
                                       void*) noexcept;                                           \
    template void enqueue_block_means(const Input&, std::uint64_t, std::uint64_t, float*,         \
                                      void*) noexcept;
GRADWIRE_INSTANTIATE(PlainInput<float>)
GRADWIRE_INSTANTIATE(PlainInput<bfloat16>)
GRADWIRE_INSTANTIATE(PlainInput<float16>)
GRADWIRE_INSTANTIATE(PlainInput<double>)
GRADWIRE_INSTANTIATE(CompensatedInput<float>)
GRADWIRE_INSTANTIATE(CompensatedInput<bfloat16>)
GRADWIRE_INSTANTIATE(CompensatedInput<float16>)
GRADWIRE_INSTANTIATE(CompensatedInput<double>)
#undef GRADWIRE_INSTANTIATE

}  // namespace cuda
}  // namespace gradwire
