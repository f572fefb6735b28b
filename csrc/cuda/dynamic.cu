// Codes of the dynamic table. Up to 4096 elements of a block stay in registers, of a part of a
// warp, a warp or a block of threads, between finding the largest and encoding: sizeof(T) + 1 bytes
// per element, or sizeof(T) + 9 with error feedback, once. Longer blocks are read twice, sizeof(T)
// bytes more, or sizeof(T) + 4: the first pass joins the largest magnitudes where the scales will
// be.
//
// The inverse of the table is copied to the memory of each block of threads, so encoders stay for
// many tiles.
#include "dynamic_encode.h"
#include "gradwire/chunks.h"
#include "gradwire/dynamic.h"
#include "keys.h"
#include "reduce.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kWarps = kThreads / kWarp;
constexpr unsigned kTile = kDynamicTile;
constexpr unsigned kWarpTile = kWarp * kQuads * kQuad;
constexpr unsigned kResident = 8;  // blocks of threads on a processor, at most

using Tables = DynamicTables;
using Blocks = DynamicBlocks;

__device__ const Tables device_tables = {make_dynamic_cells(), make_dynamic_table()};

GRADWIRE_DEVICE std::uint64_t smaller(std::uint64_t a, std::uint64_t b) {
    return a < b ? a : b;
}

// ---- blocks of up to 512 elements: `lanes` lanes each, `quads` quads a lane ----

template <unsigned quads>
GRADWIRE_BOTH constexpr unsigned blocks_of_warp(unsigned lanes) {
    return kQuads / quads * (kWarp / lanes);
}

// Where the quads of a lane belong. Rows are blocks of their own.
template <unsigned quads>
struct Lanes {
    std::uint64_t first;  // block of the warp
    unsigned lanes;
    const Blocks& blocks;

    GRADWIRE_DEVICE std::uint64_t number(unsigned row) const {
        return first + row * (kWarp / lanes) + lane() / lanes;
    }
    GRADWIRE_DEVICE std::uint64_t inside(unsigned quad) const {
        return (quad * lanes + lane() % lanes) * kQuad;
    }
    GRADWIRE_DEVICE std::uint64_t place(unsigned row, unsigned quad) const {
        return number(row) * blocks.length + inside(quad);
    }
    GRADWIRE_DEVICE bool has(unsigned row, unsigned quad) const {
        return inside(quad) < blocks.length && place(row, quad) < blocks.n;
    }
    // Whether all blocks of the warp are there.
    GRADWIRE_DEVICE bool is_whole() const {
        return (first + blocks_of_warp<quads>(lanes)) * blocks.length <= blocks.n;
    }
};

// All is read before anything waits for it.
template <bool whole, unsigned quads, typename Input>
GRADWIRE_DEVICE void load_rows(const Input& input, const Lanes<quads>& own,
                               Quad<float> (&x)[kQuads]) {
    typename Input::Raw raw[kQuads];
    GRADWIRE_UNROLL
    for (unsigned v = 0; v < kQuads; ++v) {
        raw[v] = {};
        if (own.has(v / quads, v % quads)) {
            raw[v] = input.template load<whole>(own.place(v / quads, v % quads), own.blocks.n);
        }
    }
    GRADWIRE_UNROLL
    for (unsigned v = 0; v < kQuads; ++v) {
        x[v] = Input::floats(raw[v]);
    }
}

template <bool keep_error, unsigned quads, typename Input>
GRADWIRE_DEVICE void encode_rows(const Input& input, bool words, const Lanes<quads>& own,
                                 const Tables& tables) {
    const Blocks& blocks = own.blocks;
    Quad<float> x[kQuads];
    if (words && own.is_whole()) {
        load_rows<true>(input, own, x);
    } else {
        load_rows<false>(input, own, x);
    }
    GRADWIRE_UNROLL
    for (unsigned row = 0; row < kQuads / quads; ++row) {
        std::uint32_t most = 0;
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < quads; ++q) {
            most = larger_word(most, largest_magnitude(x[row * quads + q]));
        }
        for (unsigned distance = own.lanes / 2; distance > 0; distance /= 2) {
            most = larger_word(most, __shfl_xor_sync(kFullWarp, most, static_cast<int>(distance)));
        }
        const float scale = dynamic_scale(most);
        if (lane() % own.lanes == 0 && own.number(row) < blocks.count) {
            blocks.scales[own.number(row)] = scale;
        }
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < quads; ++q) {
            if (own.has(row, q)) {
                encode_dynamic<keep_error>(x[row * quads + q], own.place(row, q), scale, tables,
                                           blocks);
            }
        }
    }
}

template <bool keep_error, unsigned quads, typename Input>
__global__ void __launch_bounds__(kThreads)
    encode_in_warps(Input input, Blocks blocks, unsigned lanes) {
    GRADWIRE_SHARED(Tables, tables);
    load_dynamic_tables<keep_error>(device_tables, tables);
    const bool words = input.whole_quads();
    const unsigned step = blocks_of_warp<quads>(lanes);
    const std::uint64_t stride = std::uint64_t{gridDim.x} * kWarps * step;
    std::uint64_t first = (std::uint64_t{blockIdx.x} * kWarps + warp()) * step;
    for (; first < blocks.count; first += stride) {
        encode_rows<keep_error>(input, words, Lanes<quads>{first, lanes, blocks}, tables);
    }
}

// ---- blocks of up to 4096 elements: a block of threads each ----

template <bool keep_error, typename Input>
__global__ void __launch_bounds__(kThreads) encode_in_blocks(Input input, Blocks blocks) {
    GRADWIRE_SHARED(Tables, tables);
    load_dynamic_tables<keep_error>(device_tables, tables);
    for (std::uint64_t number = blockIdx.x; number < blocks.count; number += gridDim.x) {
        const std::uint64_t begin = number * blocks.length;
        const std::uint64_t size = smaller(blocks.n - begin, blocks.length);
        Quad<float> x[kQuads];
        load_tile(input, begin, size, x);
        std::uint32_t most = 0;
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < kQuads; ++q) {
            most = larger_word(most, largest_magnitude(x[q]));
        }
        const float scale = dynamic_scale(block_largest(most));
        if (threadIdx.x == 0) {
            blocks.scales[number] = scale;
        }
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < kQuads; ++q) {
            if (inside_tile(q) < size) {
                encode_dynamic<keep_error>(x[q], begin + inside_tile(q), scale, tables, blocks);
            }
        }
    }
}

// ---- longer blocks: tiles of 4096 elements, which belong to two blocks at most ----

GRADWIRE_DEVICE void raise(float* scale, std::uint32_t most) {
    auto* const bits = reinterpret_cast<std::uint32_t*>(scale);
    if (__ldcg(bits) < most) {  // most often somebody has been there
        atomicMax(bits, most);
    }
}

// The largest magnitudes become the bits of the scales, which are 0 before.
template <typename Input>
__global__ void __launch_bounds__(kThreads) find_largest(Input input, Blocks blocks) {
    const std::uint64_t begin = std::uint64_t{blockIdx.x} * kTile;
    const std::uint32_t number = blocks.number_of(begin);
    const std::uint64_t end = (number + std::uint64_t{1}) * blocks.length;
    Quad<float> x[kQuads];
    load_tile(input, begin, smaller(blocks.n - begin, kTile), x);
    std::uint32_t here = 0, behind = 0;
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        const bool is_here = begin + inside_tile(q) < end;
        here = larger_word(here, is_here ? largest_magnitude(x[q]) : 0);
        behind = larger_word(behind, is_here ? 0 : largest_magnitude(x[q]));
    }
    here = block_largest(here);
    behind = block_largest(behind);
    if (threadIdx.x == 0) {
        raise(blocks.scales + number, here);
        if (behind != 0) {
            raise(blocks.scales + number + 1, behind);
        }
    }
}

template <bool keep_error, typename Input>
__global__ void __launch_bounds__(kThreads) encode_tiles(Input input, Blocks blocks) {
    GRADWIRE_SHARED(Tables, tables);
    load_dynamic_tables<keep_error>(device_tables, tables);
    const std::uint64_t stride = std::uint64_t{gridDim.x} * kTile;
    for (std::uint64_t begin = std::uint64_t{blockIdx.x} * kTile; begin < blocks.n;
         begin += stride) {
        Quad<float> x[kQuads];
        load_tile(input, begin, smaller(blocks.n - begin, kTile), x);
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < kQuads; ++q) {
            const std::uint64_t i = begin + inside_tile(q);
            if (i < blocks.n) {
                const std::uint32_t number = blocks.number_of(i);
                // Whoever is first, they are not finite before nor after somebody writes NaN.
                const float scale = dynamic_scale(
                    __ldcg(reinterpret_cast<const std::uint32_t*>(blocks.scales) + number));
                encode_dynamic<keep_error>(x[q], i, scale, tables, blocks);
                if (i == number * blocks.length && magnitude(scale) > kInfinityMagnitude) {
                    blocks.scales[number] = scale;
                }
            }
        }
    }
}

// Blocks of threads that stay for the work of `needed`.
unsigned staying(std::uint64_t needed) noexcept {
    const std::uint64_t most = std::uint64_t{processors()} * kResident;
    return static_cast<unsigned>(needed < most ? needed : most);
}

template <bool keep_error, unsigned quads, typename Input>
void encode_short(const Input& input, const Blocks& blocks) noexcept {
    unsigned lanes = kQuad;  // of the shortest block
    while (lanes * quads * kQuad < blocks.length) {
        lanes *= 2;
    }
    launch(staying(blocks_for(blocks.count, kWarps * blocks_of_warp<quads>(lanes))), kThreads,
           encode_in_warps<keep_error, quads, Input>, input, blocks, lanes);
}

template <bool keep_error, typename Input>
void encode_blocks(const Input& input, std::uint64_t n, std::uint64_t block, float* error,
                   float* scales, std::uint8_t* codes) noexcept {
    const std::uint64_t all = (n + 15) / 16 * 16;
    const std::uint64_t length = block == 0 || block > all ? all : block;
    const Blocks blocks{n, length, block_count(n, length), error, scales, codes};
    if (length <= kWarpTile / 4) {
        encode_short<keep_error, 1>(input, blocks);
    } else if (length <= kWarpTile / 2) {
        encode_short<keep_error, 2>(input, blocks);
    } else if (length <= kWarpTile) {
        encode_short<keep_error, 4>(input, blocks);
    } else if (length <= kTile) {
        launch(staying(blocks.count), kThreads, encode_in_blocks<keep_error, Input>, input, blocks);
    } else {
        set_bytes(scales, 0, blocks.count * sizeof(float));
        launch(blocks_for(n, kTile), kThreads, find_largest<Input>, input, blocks);
        launch(staying(blocks_for(n, kTile)), kThreads, encode_tiles<keep_error, Input>, input,
               blocks);
    }
}

}  // namespace

template <typename T>
void quantize_dynamic(const T* x, std::uint64_t n, std::uint64_t block, float* scales,
                      std::uint8_t* codes) noexcept {
    encode_blocks<false>(PlainInput<T>{x}, n, block, nullptr, scales, codes);
}

template <typename T>
void compensate_quantize_dynamic(const T* gradient, const float* residual, std::uint64_t n,
                                 std::uint64_t block, float* error, float* scales,
                                 std::uint8_t* codes) noexcept {
    encode_blocks<true>(CompensatedInput<T>{gradient, residual}, n, block, error, scales, codes);
}

#define GRADWIRE_FOR_INPUT(T)                                                        \
    template void quantize_dynamic(const T*, std::uint64_t, std::uint64_t, float*,   \
                                   std::uint8_t*) noexcept;                          \
    template void compensate_quantize_dynamic(const T*, const float*, std::uint64_t, \
                                              std::uint64_t, float*, float*,         \
                                              std::uint8_t*) noexcept
GRADWIRE_FOR_INPUT(float);
GRADWIRE_FOR_INPUT(bfloat16);
GRADWIRE_FOR_INPUT(float16);
GRADWIRE_FOR_INPUT(double);
#undef GRADWIRE_FOR_INPUT

}  // namespace cuda
}  // namespace gradwire
