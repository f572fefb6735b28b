// Minifloats one by one: sizeof(T) + 1 bytes per element. MX blocks: sizeof(T) + bits / 8 + 1 / 32
// bytes. Each is read and written once: a warp holds a chunk of 512 elements in registers, four
// quads a lane, so eight lanes have a block in each quad, whose largest magnitude they find among
// themselves.
#include "chunk_planes.h"
#include "gradwire/minifloat_code.h"
#include "queue.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {
namespace {

// Blocks of threads that share a processor, at least: what is written waits for nothing, so it
// takes many warps and not many registers to keep memory busy.
constexpr unsigned kDecoders = 4;
constexpr unsigned kBlockLanes = kMxBlock / kQuad;
constexpr unsigned kRowBlocks = kRow / kMxBlock;
static_assert(kQuads <= kBlockLanes, "each scale has a lane that writes it");

GRADWIRE_DEVICE WarpChunk own_chunk(std::uint64_t n) {
    return {own_warp() * kChunk, n};
}

// ---- one by one ----

template <typename T>
__global__ void __launch_bounds__(kThreads)
    encode_kernel(const T* x, std::uint64_t n, MinifloatCode code, std::uint8_t* codes) {
    const WarpChunk chunk = own_chunk(n);
    if (chunk.begin >= n) {
        return;
    }
    const ChunkFloats values = load_chunk(PlainInput<T>{x}, chunk);
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        Quad<std::uint8_t> found;
        for (unsigned j = 0; j < kQuad; ++j) {
            found.at[j] = static_cast<std::uint8_t>(code.encode_any(values.quad[q].at[j]));
        }
        store_quad(codes, chunk.element(q), n, found);
    }
}

template <bool whole, typename T>
GRADWIRE_DEVICE void decode_chunk(const std::uint8_t* codes, const WarpChunk& chunk,
                                  const MinifloatCode& code, T* out) {
    Quad<std::uint8_t> found[kQuads];
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        found[q] = load_input<whole>(codes, chunk.element(q), chunk.n);
    }
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        Quad<float> values;
        for (unsigned j = 0; j < kQuad; ++j) {
            values.at[j] = code.decode(found[q].at[j]);
        }
        store_floats(out, chunk.element(q), chunk.n, values);
    }
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kDecoders)
    decode_kernel(const std::uint8_t* codes, std::uint64_t n, MinifloatCode code, T* out) {
    const WarpChunk chunk = own_chunk(n);
    if (chunk.begin >= n) {
        return;
    }
    if (chunk.size() == kChunk && in_words(codes)) {
        decode_chunk<true>(codes, chunk, code, out);
    } else {
        decode_chunk<false>(codes, chunk, code, out);
    }
}

// ---- MX blocks ----

GRADWIRE_DEVICE std::uint8_t scale_of(const Quad<float>& values, int largest_exponent) {
    std::uint32_t most = 0;
    for (const float value : values.at) {
        const std::uint32_t size = magnitude(value);
        most = most < size ? size : most;
    }
    for (unsigned distance = kBlockLanes / 2; distance > 0; distance /= 2) {
        const std::uint32_t other = __shfl_xor_sync(kFullWarp, most, static_cast<int>(distance));
        most = most < other ? other : most;
    }
    return mx_scale(most, largest_exponent);
}

// Four codes as the bytes of a word; zeros in a block that is not finite.
GRADWIRE_DEVICE std::uint32_t codes_of(const Quad<float>& values, std::uint8_t scale,
                                       const MinifloatCode& code) {
    const float down = mx_down(scale);
    std::uint32_t codes = 0;
    for (unsigned j = 0; j < kQuad; ++j) {
        codes |= code.encode(values.at[j] * down) << (8 * j);
    }
    return scale == kNanScale ? 0 : codes;
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    encode_mx_kernel(const T* x, std::uint64_t n, MinifloatCode code, int largest_exponent,
                     unsigned bits, std::uint8_t* scales, std::uint8_t* codes) {
    const WarpChunk chunk = own_chunk(n);
    if (chunk.begin >= n) {
        return;
    }
    const ChunkFloats values = load_chunk(PlainInput<T>{x}, chunk);
    const unsigned place = lane() % kBlockLanes, block = lane() / kBlockLanes;
    // Lane q of those of a block writes the scale of their block in quad q.
    std::uint8_t own_scale = 0;
    ChunkCodes found;
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        const std::uint8_t scale = scale_of(values.quad[q], largest_exponent);
        own_scale = place == q ? scale : own_scale;
        found.quad[q] = codes_of(values.quad[q], scale, code);
    }
    const unsigned number = place * kRowBlocks + block;
    if (place < kQuads && number * kMxBlock < chunk.size()) {
        scales[chunk.begin / kMxBlock + number] = own_scale;
    }
    store_chunk_planes(found, chunk, bits, codes);
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kDecoders)
    decode_mx_kernel(const std::uint8_t* codes, const std::uint8_t* scales, std::uint64_t n,
                     MinifloatCode code, unsigned bits, T* out) {
    const WarpChunk chunk = own_chunk(n);
    if (chunk.begin >= n) {
        return;
    }
    std::uint8_t own_scales[kQuads];
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        own_scales[q] = scales[chunk.existing(q) / kMxBlock];
    }
    const ChunkCodes found = load_chunk_planes(codes, chunk, bits);
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        const float up = mx_up(own_scales[q]);
        Quad<float> values;
        for (unsigned j = 0; j < kQuad; ++j) {
            values.at[j] = code.decode(code_in(found.quad[q], j)) * up;
        }
        store_floats(out, chunk.element(q), n, values);
    }
}

unsigned blocks(std::uint64_t n) noexcept {
    return blocks_for(n, kThreads / kWarp * kChunk);
}

}  // namespace

template <typename T>
void to_minifloat(const T* x, std::uint64_t n, Minifloat format, std::uint8_t* codes) noexcept {
    launch(blocks(n), kThreads, encode_kernel<T>, x, n, MinifloatCode(format), codes);
}

template <typename T>
void from_minifloat(const std::uint8_t* codes, std::uint64_t n, Minifloat format, T* out) noexcept {
    launch(blocks(n), kThreads, decode_kernel<T>, codes, n, MinifloatCode(format), out);
}

template <typename T>
void quantize_mx(const T* x, std::uint64_t n, Minifloat format, std::uint8_t* scales,
                 std::uint8_t* codes) noexcept {
    launch(blocks(n), kThreads, encode_mx_kernel<T>, x, n, MinifloatCode(format),
           format_of(format).largest_exponent, minifloat_bits(format), scales, codes);
}

template <typename T>
void dequantize_mx(const std::uint8_t* codes, const std::uint8_t* scales, std::uint64_t n,
                   Minifloat format, T* out) noexcept {
    launch(blocks(n), kThreads, decode_mx_kernel<T>, codes, scales, n, MinifloatCode(format),
           minifloat_bits(format), out);
}

#define GRADWIRE_FOR_INPUT(T)                                                               \
    template void to_minifloat(const T*, std::uint64_t, Minifloat, std::uint8_t*) noexcept; \
    template void quantize_mx(const T*, std::uint64_t, Minifloat, std::uint8_t*,            \
                              std::uint8_t*) noexcept
#define GRADWIRE_FOR_OUTPUT(T)                                                                \
    template void from_minifloat(const std::uint8_t*, std::uint64_t, Minifloat, T*) noexcept; \
    template void dequantize_mx(const std::uint8_t*, const std::uint8_t*, std::uint64_t,      \
                                Minifloat, T*) noexcept
GRADWIRE_FOR_INPUT(float);
GRADWIRE_FOR_INPUT(bfloat16);
GRADWIRE_FOR_INPUT(float16);
GRADWIRE_FOR_INPUT(double);
GRADWIRE_FOR_OUTPUT(float);
GRADWIRE_FOR_OUTPUT(bfloat16);
GRADWIRE_FOR_OUTPUT(float16);
#undef GRADWIRE_FOR_INPUT
#undef GRADWIRE_FOR_OUTPUT

}  // namespace cuda
}  // namespace gradwire
