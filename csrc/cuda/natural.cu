// quantize_natural reads sizeof(T) bytes per element and writes one; a warp has 512 elements, so
// that its lanes can share their random bits. dequantize_natural reads one byte and writes
// sizeof(T); dequantize_natural_add reads 4 more.
#include "gradwire/natural_code.h"
#include "natural.h"
#include "queue.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(kThreads)
    encode_kernel(const T* x, std::uint64_t n, RandomStream random, const std::uint32_t* step,
                  std::uint8_t* codes, std::uint32_t* not_finite) {
    const WarpChunk chunk{own_warp() * kChunk, n};
    if (chunk.begin >= n) {
        return;
    }
    const ChunkFloats values = load_chunk(PlainInput<T>{x}, chunk);
    const RandomStream stream = at_step(random, step);
    std::uint32_t most = 0;
    GRADWIRE_UNROLL
    for (unsigned pair = 0; pair < kQuads / 2; ++pair) {
        QuadDraw bits[2];
        draw_pair(stream, chunk, pair, bits);
        GRADWIRE_UNROLL
        for (unsigned q = 2 * pair; q < 2 * pair + 2; ++q) {
            Quad<std::uint8_t> found;
            GRADWIRE_UNROLL
            for (unsigned j = 0; j < kQuad; ++j) {
                const float value = values.quad[q].at[j];
                most = most < magnitude(value) ? magnitude(value) : most;
                found.at[j] = static_cast<std::uint8_t>(natural_code(value, bits[q % 2].at(j)));
            }
            store_quad(codes, chunk.element(q), n, found);
        }
    }
    if (__any_sync(kFullWarp, most >= kInfinityMagnitude) != 0 && lane() == 0) {
        atomicOr(not_finite, 1U);
    }
}

template <bool add, typename T>
__global__ void __launch_bounds__(kThreads)
    decode_kernel(const std::uint8_t* codes, std::uint64_t n, T* out) {
    const WarpChunk chunk{own_warp() * kChunk, n};
    if (chunk.begin >= n) {
        return;
    }
    ChunkFloats before;
    if constexpr (add) {
        before = load_chunk(PlainInput<T>{out}, chunk);
    }
    Quad<std::uint8_t> found[kQuads];
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        found[q] = load_quad(codes, chunk.element(q), n);
    }
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        Quad<float> values;
        GRADWIRE_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
            const float value = natural_value(found[q].at[j]);
            values.at[j] = add ? before.quad[q].at[j] + value : value;
        }
        store_floats(out, chunk.element(q), n, values);
    }
}

unsigned blocks(std::uint64_t n) noexcept {
    return blocks_for(n, kThreads / kWarp * kChunk);
}

}  // namespace

template <typename T>
void enqueue_quantize_natural(const T* x, std::uint64_t n, RandomStream random,
                              const std::uint32_t* step, std::uint8_t* codes,
                              std::uint32_t* not_finite) noexcept {
    set_bytes(not_finite, 0, sizeof *not_finite);
    launch(blocks(n), kThreads, encode_kernel<T>, x, n, random, step, codes, not_finite);
}

template <typename T>
bool quantize_natural(const T* x, std::uint64_t n, RandomStream random,
                      std::uint8_t* codes) noexcept {
    const Scratch workspace(sizeof(std::uint32_t));
    auto* const not_finite = workspace.as<std::uint32_t>();
    enqueue_quantize_natural(x, n, random, nullptr, codes, not_finite);
    return fetch(not_finite) == 0;
}

template <typename T>
void dequantize_natural(const std::uint8_t* codes, std::uint64_t n, T* out) noexcept {
    launch(blocks(n), kThreads, decode_kernel<false, T>, codes, n, out);
}

void dequantize_natural_add(const std::uint8_t* codes, std::uint64_t n, float* out) noexcept {
    launch(blocks(n), kThreads, decode_kernel<true, float>, codes, n, out);
}

#define GRADWIRE_INSTANTIATE(T)                                                                    \
    template bool quantize_natural(const T*, std::uint64_t, RandomStream, std::uint8_t*) noexcept; \
    template void enqueue_quantize_natural(const T*, std::uint64_t, RandomStream,                  \
                                           const std::uint32_t*, std::uint8_t*,                    \
                                           std::uint32_t*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

template void dequantize_natural(const std::uint8_t*, std::uint64_t, float*) noexcept;
template void dequantize_natural(const std::uint8_t*, std::uint64_t, bfloat16*) noexcept;
template void dequantize_natural(const std::uint8_t*, std::uint64_t, float16*) noexcept;

}  // namespace cuda
}  // namespace gradwire
