// Codes of the dynamic table to values: 1 + sizeof(T) bytes per element, 9 to add to float32, each
// once. The table is in the memory of each block of threads, which stays for many tiles.
#include "gradwire/dynamic.h"
#include "gradwire/dynamic_table.h"
#include "queue.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {
namespace {

// Blocks of threads that share a processor, at least.
constexpr unsigned kDecoders = 4;
constexpr unsigned kResident = 8;  // blocks of threads on a processor, at most

__device__ const DynamicTable device_table = make_dynamic_table();

struct Encoded {
    const std::uint8_t* codes;
    const float* scales;
    std::uint32_t block;  // in sixteens, not 0

    // n / 16 has 32 bits.
    GRADWIRE_DEVICE float scale(std::uint64_t i) const {
        return scales[static_cast<std::uint32_t>(i / 16) / block];
    }
};

// All is read before anything waits for it.
template <bool add, bool whole, typename T>
GRADWIRE_DEVICE void decode_chunk(const Encoded& from, const WarpChunk& chunk,
                                  const DynamicTable& table, T* out) {
    Quad<std::uint8_t> codes[kQuads];
    Quad<T> before[kQuads];
    float scales[kQuads];
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        codes[q] = load_input<whole>(from.codes, chunk.element(q), chunk.n);
        if constexpr (add) {
            before[q] = load_input<whole>(static_cast<const T*>(out), chunk.element(q), chunk.n);
        }
        scales[q] = from.scale(chunk.existing(q));
    }
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        Quad<float> values;
        for (unsigned j = 0; j < kQuad; ++j) {
            const float value = table.numbers[codes[q].at[j]] * scales[q];
            if constexpr (add) {
                values.at[j] = to_float(before[q].at[j]) + value;
            } else {
                values.at[j] = value;
            }
        }
        store_floats(out, chunk.element(q), chunk.n, values);
    }
}

template <bool add, typename T>
__global__ void __launch_bounds__(kThreads, kDecoders)
    decode_kernel(Encoded from, std::uint64_t n, T* out) {
    GRADWIRE_SHARED(DynamicTable, table);
    for (unsigned i = threadIdx.x; i < kCodes; i += kThreads) {
        table.numbers[i] = device_table.numbers[i];
    }
    __syncthreads();
    const bool words = in_words(from.codes) && (!add || in_words(out));
    const std::uint64_t stride = std::uint64_t{gridDim.x} * (kThreads / kWarp) * kChunk;
    for (WarpChunk chunk{own_warp() * kChunk, n}; chunk.begin < n; chunk.begin += stride) {
        if (words && chunk.size() == kChunk) {
            decode_chunk<add, true>(from, chunk, table, out);
        } else {
            decode_chunk<add, false>(from, chunk, table, out);
        }
    }
}

template <bool add, typename T>
void decode_all(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                std::uint64_t block, T* out) noexcept {
    const std::uint64_t length = block == 0 ? n + 15 : block;
    const std::uint64_t most = std::uint64_t{processors()} * kResident;
    const std::uint64_t tiles = blocks_for(n, kThreads / kWarp * kChunk);
    launch(static_cast<unsigned>(tiles < most ? tiles : most), kThreads, decode_kernel<add, T>,
           Encoded{codes, scales, static_cast<std::uint32_t>(length / 16)}, n, out);
}

}  // namespace

template <typename T>
void dequantize_dynamic(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                        std::uint64_t block, T* out) noexcept {
    decode_all<false>(codes, scales, n, block, out);
}

void dequantize_dynamic_add(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                            std::uint64_t block, float* out) noexcept {
    decode_all<true>(codes, scales, n, block, out);
}

#define GRADWIRE_FOR_OUTPUT(T)                                                         \
    template void dequantize_dynamic(const std::uint8_t*, const float*, std::uint64_t, \
                                     std::uint64_t, T*) noexcept
GRADWIRE_FOR_OUTPUT(float);
GRADWIRE_FOR_OUTPUT(bfloat16);
GRADWIRE_FOR_OUTPUT(float16);
#undef GRADWIRE_FOR_OUTPUT

}  // namespace cuda
}  // namespace gradwire
