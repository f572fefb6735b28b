// A warp encodes or decodes a chunk of 512 elements that it holds in registers.
//
// quantize reads sizeof(T) bytes per element and writes bits / 8; compensate_quantize reads
// sizeof(T) + 4 and writes 4 + bits / 8. If blocks lie inside chunks (16, 32, ... 512 elements), or
// scales are given, that is all; else their scales are found first, in another reading
// (block_scales.h). dequantize reads bits / 8 and writes sizeof(T); dequantize_add reads 4 more.
#include "block_scales.h"
#include "chunk_planes.h"
#include "chunk_scales.h"
#include "gradwire/lattice.h"
#include "quantize.h"
#include "queue.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kWarps = kThreads / kWarp;  // of a block

// Where the scales of a chunk come from: memory, or its own elements.
enum class Origin { memory, extremes, sums };

struct Task {
    std::uint64_t n;
    Grid grid;
    bool stochastic;
    RandomStream random;
    const std::uint32_t* step;
    float* scales;
    std::uint8_t* codes;
    float* error;
};

// The lattice of the block that quad q is in; behind the end it is that of the last block.
GRADWIRE_DEVICE Lattice lattice_in_memory(const Grid& grid, const float* scales,
                                          const WarpChunk& chunk, unsigned q) {
    return lattice_of(grid, scales, block_of(chunk.existing(q), grid.block));
}

GRADWIRE_DEVICE Lattice lattice_in_chunk(const Grid& grid, const QuadScales& scales, unsigned q) {
    return grid.scale == Scale::minmax
               ? minmax_lattice(scales.first[q], scales.second[q], grid.bits)
               : symmetric_lattice(scales.first[q], grid.levels);
}

// Of a chunk whose blocks lie inside it: finds their scales, and writes them.
template <Origin origin>
GRADWIRE_DEVICE QuadScales find_scales(const ChunkFloats& x, const WarpChunk& chunk,
                                       const Grid& grid, float* out) {
    QuadScales scales{};
    const auto block = static_cast<unsigned>(grid.block);
    if constexpr (origin == Origin::sums) {
        struct Room {
            ChunkRoom of_warp[kWarps];
        };
        GRADWIRE_SHARED(Room, room);
        sums_in_chunk<Squares>(x, chunk, block, room.of_warp[warp()], &scales);
    } else if (grid.scale == Scale::minmax) {
        extremes_in_chunk(x, chunk, block, &scales);
    } else {
        absmax_in_chunk(x, block, &scales);
    }
    for_each_block_of(chunk, block, [&](std::uint64_t number, unsigned q) {
        if (grid.scale == Scale::minmax) {
            out[2 * number] = scales.first[q];
            out[2 * number + 1] = scales.second[q];
        } else {
            out[number] = scales.first[q];
        }
    });
    return scales;
}

template <bool stochastic>
GRADWIRE_DEVICE std::uint32_t encode_quad(const Lattice& lattice, const Quad<float>& x,
                                          const QuadDraw& bits) {
    std::uint32_t codes = 0;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
        if constexpr (stochastic) {
            codes |= stochastic_code(lattice, x.at[j], bits.at(j)) << (8 * j);
        } else {
            codes |= nearest_code(lattice, x.at[j]) << (8 * j);
        }
    }
    return codes;
}

GRADWIRE_DEVICE Quad<float> decode_quad(const Lattice& lattice, std::uint32_t codes) {
    Quad<float> values;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
        values.at[j] = value_on(lattice, code_in(codes, j));
    }
    return values;
}

// lattice_of_quad: tells the lattice of a quad; one for all if the chunk is in one block. Puts what
// the codes miss into task.error.
template <bool stochastic, bool keep_error, typename LatticeOfQuad>
GRADWIRE_DEVICE ChunkCodes encode_chunk(const ChunkFloats& x, const WarpChunk& chunk,
                                        const Task& task, LatticeOfQuad lattice_of_quad) {
    const RandomStream random = at_step(task.random, task.step);
    const bool one_block = around_chunks(task.grid.block);
    Lattice lattice = lattice_of_quad(0);
    ChunkCodes codes;
    QuadDraw bits[2];  // of two quads
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        if constexpr (stochastic) {
            if (q % 2 == 0) {
                draw_pair(random, chunk, q / 2, bits);
            }
        }
        if (q != 0 && !one_block) {
            lattice = lattice_of_quad(q);
        }
        codes.quad[q] = encode_quad<stochastic>(lattice, x.quad[q], bits[q % 2]);
        if constexpr (keep_error) {
            Quad<float> error = decode_quad(lattice, codes.quad[q]);
            GRADWIRE_UNROLL
            for (unsigned j = 0; j < kQuad; ++j) {
                error.at[j] = x.quad[q].at[j] - error.at[j];
            }
            store_floats(task.error, chunk.element(q), chunk.n, error);
        }
    }
    return codes;
}

template <Origin origin, bool keep_error, typename Input>
__global__ void __launch_bounds__(kThreads) encode_kernel(Input input, Task task) {
    const WarpChunk chunk{own_warp() * kChunk, task.n};
    if (chunk.begin >= task.n) {
        return;
    }
    const ChunkFloats x = load_chunk(input, chunk);
    QuadScales scales;
    if constexpr (origin != Origin::memory) {
        scales = find_scales<origin>(x, chunk, task.grid, task.scales);
    }
    const auto lattice_of_quad = [&](unsigned q) {
        return origin == Origin::memory ? lattice_in_memory(task.grid, task.scales, chunk, q)
                                        : lattice_in_chunk(task.grid, scales, q);
    };
    const ChunkCodes codes = task.stochastic
                                 ? encode_chunk<true, keep_error>(x, chunk, task, lattice_of_quad)
                                 : encode_chunk<false, keep_error>(x, chunk, task, lattice_of_quad);
    store_chunk_planes(codes, chunk, task.grid.bits, task.codes);
}

template <bool add, typename T>
__global__ void __launch_bounds__(kThreads)
    decode_kernel(const std::uint8_t* codes, const float* scales, std::uint64_t n, Grid grid,
                  T* out) {
    const WarpChunk chunk{own_warp() * kChunk, n};
    if (chunk.begin >= n) {
        return;
    }
    ChunkFloats before;
    if constexpr (add) {
        before = load_chunk(PlainInput<T>{out}, chunk);
    }
    const ChunkCodes found = load_chunk_planes(codes, chunk, grid.bits);
    const bool one_block = around_chunks(grid.block);
    Lattice lattice;
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        if (q == 0 || !one_block) {
            lattice = lattice_in_memory(grid, scales, chunk, q);
        }
        Quad<float> values = decode_quad(lattice, found.quad[q]);
        GRADWIRE_UNROLL
        for (unsigned j = 0; add && j < kQuad; ++j) {
            values.at[j] = before.quad[q].at[j] + values.at[j];
        }
        store_floats(out, chunk.element(q), n, values);
    }
}

unsigned blocks(std::uint64_t n) noexcept {
    return blocks_for(n, kWarps * kChunk);
}

template <bool keep_error, typename Input>
void enqueue_encoding(const Input& input, std::uint64_t n, const Encoding& how,
                      const std::uint32_t* step, float* error, float* scales, std::uint8_t* codes,
                      void* workspace) noexcept {
    const Task task{n, how.grid, how.stochastic, how.random, step, scales, codes, error};
    const auto encode = [&](auto* kernel) { launch(blocks(n), kThreads, kernel, input, task); };
    const bool inside = inside_chunks(how.grid.block);
    if (how.given || !inside) {
        if (!how.given) {
            enqueue_block_scales(input, n, how.grid.block, how.grid.scale, scales, workspace);
        }
        encode(encode_kernel<Origin::memory, keep_error, Input>);
    } else if (how.grid.scale == Scale::l2) {
        encode(encode_kernel<Origin::sums, keep_error, Input>);
    } else {
        encode(encode_kernel<Origin::extremes, keep_error, Input>);
    }
}

template <bool add, typename T>
void enqueue_decoding(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                      const Grid& grid, T* out) noexcept {
    launch(blocks(n), kThreads, decode_kernel<add, T>, codes, scales, n, grid, out);
}

}  // namespace

std::uint64_t quantize_workspace(std::uint64_t n, const Encoding& how) noexcept {
    const bool apart = !how.given && !inside_chunks(how.grid.block);
    return apart ? block_scales_workspace(n, how.grid.block, how.grid.scale == Scale::l2) : 0;
}

template <typename T>
void enqueue_quantize(const T* x, std::uint64_t n, const Encoding& how, const std::uint32_t* step,
                      float* scales, std::uint8_t* codes, void* workspace) noexcept {
    enqueue_encoding<false>(PlainInput<T>{x}, n, how, step, nullptr, scales, codes, workspace);
}

template <typename T>
void enqueue_compensate_quantize(const T* gradient, const float* residual, std::uint64_t n,
                                 const Encoding& how, const std::uint32_t* step, float* error,
                                 float* scales, std::uint8_t* codes, void* workspace) noexcept {
    enqueue_encoding<true>(CompensatedInput<T>{gradient, residual}, n, how, step, error, scales,
                           codes, workspace);
}

template <typename T>
void quantize(const T* x, std::uint64_t n, const Encoding& how, float* scales,
              std::uint8_t* codes) noexcept {
    const Scratch workspace(quantize_workspace(n, how));
    enqueue_quantize(x, n, how, nullptr, scales, codes, workspace.as<char>());
}

template <typename T>
void compensate_quantize(const T* gradient, const float* residual, std::uint64_t n,
                         const Encoding& how, float* error, float* scales,
                         std::uint8_t* codes) noexcept {
    const Scratch workspace(quantize_workspace(n, how));
    enqueue_compensate_quantize(gradient, residual, n, how, nullptr, error, scales, codes,
                                workspace.as<char>());
}

template <typename T>
void dequantize(const std::uint8_t* codes, const float* scales, std::uint64_t n, const Grid& grid,
                T* out) noexcept {
    enqueue_decoding<false>(codes, scales, n, grid, out);
}

void dequantize_add(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                    const Grid& grid, float* out) noexcept {
    enqueue_decoding<true>(codes, scales, n, grid, out);
}

#define GRADWIRE_INSTANTIATE(T)                                                                    \
    template void quantize(const T*, std::uint64_t, const Encoding&, float*,                       \
                           std::uint8_t*) noexcept;                                                \
    template void compensate_quantize(const T*, const float*, std::uint64_t, const Encoding&,      \
                                      float*, float*, std::uint8_t*) noexcept;                     \
    template void enqueue_quantize(const T*, std::uint64_t, const Encoding&, const std::uint32_t*, \
                                   float*, std::uint8_t*, void*) noexcept;                         \
    template void enqueue_compensate_quantize(const T*, const float*, std::uint64_t,               \
                                              const Encoding&, const std::uint32_t*, float*,       \
                                              float*, std::uint8_t*, void*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

template void dequantize(const std::uint8_t*, const float*, std::uint64_t, const Grid&,
                         float*) noexcept;
template void dequantize(const std::uint8_t*, const float*, std::uint64_t, const Grid&,
                         bfloat16*) noexcept;
template void dequantize(const std::uint8_t*, const float*, std::uint64_t, const Grid&,
                         float16*) noexcept;

}  // namespace cuda
}  // namespace gradwire
