// A warp encodes or decodes a chunk of 512 elements that it holds in registers; codes are one bit
// plane.
//
// quantize_sign reads sizeof(T) bytes per element and writes 1/8; compensate_sign reads
// sizeof(T) + 4 and writes 4 + 1/8. If blocks lie inside chunks (16, 32, ... 512 elements), or
// scales are given, that is all; else their scales are found first (block_scales.h).
// dequantize_sign reads 1/8 byte and writes sizeof(T); dequantize_sign_add reads 4 more.
#include "block_scales.h"
#include "chunk_planes.h"
#include "chunk_scales.h"
#include "queue.h"
#include "sign.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kWarps = kThreads / kWarp;  // of a block

struct Task {
    std::uint64_t n;
    std::uint64_t block;
    float* scales;
    std::uint8_t* codes;
    float* error;
};

// Of the block that quad q is in; behind the end, of the last one.
GRADWIRE_DEVICE float scale_in_memory(const float* scales, const WarpChunk& chunk,
                                      std::uint64_t block, unsigned q) {
    return scales[block_of(chunk.existing(q), block)];
}

// Of a chunk whose blocks lie inside it: finds their scales, and writes them.
GRADWIRE_DEVICE QuadScales find_scales(const ChunkFloats& x, const WarpChunk& chunk, unsigned block,
                                       float* out) {
    struct Room {
        ChunkRoom of_warp[kWarps];
    };
    GRADWIRE_SHARED(Room, room);
    QuadScales scales{};
    sums_in_chunk<Magnitudes>(x, chunk, block, room.of_warp[warp()], &scales);
    for_each_block_of(chunk, block,
                      [&](std::uint64_t number, unsigned q) { out[number] = scales.first[q]; });
    return scales;
}

GRADWIRE_DEVICE std::uint32_t signs_of(const Quad<float>& x) {
    std::uint32_t codes = 0;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
        codes |= (0.0F <= x.at[j] ? 1U : 0U) << (8 * j);
    }
    return codes;
}

GRADWIRE_DEVICE Quad<float> error_of(const Quad<float>& x, float scale) {
    Quad<float> error;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
        error.at[j] = x.at[j] - (x.at[j] < 0.0F ? -scale : scale);
    }
    return error;
}

template <bool own_scales, bool keep_error, typename Input>
__global__ void __launch_bounds__(kThreads) encode_kernel(Input input, Task task) {
    const WarpChunk chunk{own_warp() * kChunk, task.n};
    if (chunk.begin >= task.n) {
        return;
    }
    const ChunkFloats x = load_chunk(input, chunk);
    ChunkCodes codes;
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        codes.quad[q] = signs_of(x.quad[q]);
    }
    store_chunk_planes(codes, chunk, 1, task.codes);
    QuadScales scales{};
    if constexpr (own_scales) {
        scales = find_scales(x, chunk, static_cast<unsigned>(task.block), task.scales);
    }
    if constexpr (keep_error) {
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < kQuads; ++q) {
            const float scale =
                own_scales ? scales.first[q] : scale_in_memory(task.scales, chunk, task.block, q);
            store_floats(task.error, chunk.element(q), chunk.n, error_of(x.quad[q], scale));
        }
    }
}

template <bool add, typename T>
__global__ void __launch_bounds__(kThreads)
    decode_kernel(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                  std::uint64_t block, T* out) {
    const WarpChunk chunk{own_warp() * kChunk, n};
    if (chunk.begin >= n) {
        return;
    }
    ChunkFloats before;
    if constexpr (add) {
        before = load_chunk(PlainInput<T>{out}, chunk);
    }
    const ChunkCodes found = load_chunk_planes(codes, chunk, 1);
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        const float scale = scale_in_memory(scales, chunk, block, q);
        Quad<float> values;
        GRADWIRE_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
            const float value = code_in(found.quad[q], j) != 0 ? scale : -scale;
            values.at[j] = add ? before.quad[q].at[j] + value : value;
        }
        store_floats(out, chunk.element(q), n, values);
    }
}

unsigned blocks(std::uint64_t n) noexcept {
    return blocks_for(n, kWarps * kChunk);
}

template <bool keep_error, typename Input>
void enqueue_encoding(const Input& input, std::uint64_t n, std::uint64_t block, bool given,
                      float* error, float* scales, std::uint8_t* codes, void* workspace) noexcept {
    const Task task{n, block, scales, codes, error};
    if (!given && inside_chunks(block)) {
        launch(blocks(n), kThreads, encode_kernel<true, keep_error, Input>, input, task);
        return;
    }
    if (!given) {
        enqueue_block_means(input, n, block, scales, workspace);
    }
    launch(blocks(n), kThreads, encode_kernel<false, keep_error, Input>, input, task);
}

template <bool add, typename T>
void enqueue_decoding(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                      std::uint64_t block, T* out) noexcept {
    launch(blocks(n), kThreads, decode_kernel<add, T>, codes, scales, n, block, out);
}

}  // namespace

std::uint64_t sign_workspace(std::uint64_t n, std::uint64_t block, bool given) noexcept {
    return given || inside_chunks(block) ? 0 : block_scales_workspace(n, block, true);
}

template <typename T>
void enqueue_quantize_sign(const T* x, std::uint64_t n, std::uint64_t block, bool given,
                           float* scales, std::uint8_t* codes, void* workspace) noexcept {
    enqueue_encoding<false>(PlainInput<T>{x}, n, block, given, nullptr, scales, codes, workspace);
}

template <typename T>
void enqueue_compensate_sign(const T* gradient, const float* residual, std::uint64_t n,
                             std::uint64_t block, bool given, float* error, float* scales,
                             std::uint8_t* codes, void* workspace) noexcept {
    enqueue_encoding<true>(CompensatedInput<T>{gradient, residual}, n, block, given, error, scales,
                           codes, workspace);
}

template <typename T>
void quantize_sign(const T* x, std::uint64_t n, std::uint64_t block, bool given, float* scales,
                   std::uint8_t* codes) noexcept {
    const Scratch workspace(sign_workspace(n, block, given));
    enqueue_quantize_sign(x, n, block, given, scales, codes, workspace.as<char>());
}

template <typename T>
void compensate_sign(const T* gradient, const float* residual, std::uint64_t n, std::uint64_t block,
                     bool given, float* error, float* scales, std::uint8_t* codes) noexcept {
    const Scratch workspace(sign_workspace(n, block, given));
    enqueue_compensate_sign(gradient, residual, n, block, given, error, scales, codes,
                            workspace.as<char>());
}

template <typename T>
void dequantize_sign(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                     std::uint64_t block, T* out) noexcept {
    enqueue_decoding<false>(codes, scales, n, block, out);
}

void dequantize_sign_add(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                         std::uint64_t block, float* out) noexcept {
    enqueue_decoding<true>(codes, scales, n, block, out);
}

#define GRADWIRE_INSTANTIATE(T)                                                                 \
    template void quantize_sign(const T*, std::uint64_t, std::uint64_t, bool, float*,           \
                                std::uint8_t*) noexcept;                                        \
    template void compensate_sign(const T*, const float*, std::uint64_t, std::uint64_t, bool,   \
                                  float*, float*, std::uint8_t*) noexcept;                      \
    template void enqueue_quantize_sign(const T*, std::uint64_t, std::uint64_t, bool, float*,   \
                                        std::uint8_t*, void*) noexcept;                         \
    template void enqueue_compensate_sign(const T*, const float*, std::uint64_t, std::uint64_t, \
                                          bool, float*, float*, std::uint8_t*, void*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

template void dequantize_sign(const std::uint8_t*, const float*, std::uint64_t, std::uint64_t,
                              float*) noexcept;
template void dequantize_sign(const std::uint8_t*, const float*, std::uint64_t, std::uint64_t,
                              bfloat16*) noexcept;
template void dequantize_sign(const std::uint8_t*, const float*, std::uint64_t, std::uint64_t,
                              float16*) noexcept;

}  // namespace cuda
}  // namespace gradwire
