// Encoding by the dynamic table (see gradwire/dynamic.h), a quad at a time, and tiles of 4096
// elements in the registers of a block of threads.
#pragma once

#include <cstdint>

#include "gradwire/dynamic_table.h"
#include "gradwire/scales.h"
#include "queue.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {

struct alignas(16) DynamicTables {
    DynamicCells cells;
    DynamicTable numbers;  // for decoded values
};

// Copies them, for the whole block of threads.
template <bool keep_error>
GRADWIRE_DEVICE void load_dynamic_tables(const DynamicTables& memory, DynamicTables& tables) {
    constexpr unsigned kUnits =
        (keep_error ? sizeof(DynamicTables) : sizeof(DynamicCells)) / sizeof(uint4);
    const uint4* const from = reinterpret_cast<const uint4*>(&memory);
    uint4* const to = reinterpret_cast<uint4*>(&tables);
    for (unsigned i = threadIdx.x; i < kUnits; i += kThreads) {
        to[i] = from[i];
    }
    __syncthreads();
}

// The vector in blocks, and what becomes of it.
struct DynamicBlocks {
    std::uint64_t n;
    std::uint64_t length;  // of a block: a multiple of 16, not 0
    std::uint64_t count;
    float* error;
    float* scales;
    std::uint8_t* codes;

    // n / 16 has 32 bits.
    GRADWIRE_DEVICE std::uint32_t number_of(std::uint64_t i) const {
        return static_cast<std::uint32_t>(i / 16) / static_cast<std::uint32_t>(length / 16);
    }
};

// NaN where there is an element that is not finite.
GRADWIRE_DEVICE float dynamic_scale(std::uint32_t most) {
    return bits_float(most < kInfinityMagnitude ? most : kNanScaleBits);
}

template <bool keep_error>
GRADWIRE_DEVICE void encode_dynamic(const Quad<float>& x, std::uint64_t i, float scale,
                                    const DynamicTables& tables, const DynamicBlocks& blocks) {
    const bool finite = magnitude(scale) < kInfinityMagnitude;
    const float divisor = scale == 0.0F ? 1.0F : scale;
    Quad<std::uint8_t> codes;
    Quad<float> error;
    for (unsigned j = 0; j < kQuad; ++j) {
        const std::uint32_t nearest = dynamic_code(x.at[j] / divisor, tables.cells.words);
        const std::uint32_t code = finite ? nearest : kZeroCode;
        codes.at[j] = static_cast<std::uint8_t>(code);
        if constexpr (keep_error) {
            const float value = tables.numbers.numbers[code] * scale;
            error.at[j] = finite ? x.at[j] - value : bits_float(kNanScaleBits);
        }
    }
    store_quad(blocks.codes, i, blocks.n, codes);
    if constexpr (keep_error) {
        store_quad(blocks.error, i, blocks.n, error);
    }
}

constexpr unsigned kDynamicTile = kThreads * kQuads * kQuad;

// Where quad q of this thread is in a tile of 4096 elements.
GRADWIRE_DEVICE unsigned inside_tile(unsigned q) {
    return (q * kThreads + threadIdx.x) * kQuad;
}

// Up to 4096 elements, and zeros behind them. All is read before anything waits for it.
template <bool whole, typename Input>
GRADWIRE_DEVICE void load_tile(const Input& input, std::uint64_t begin, std::uint64_t size,
                               Quad<float> (&x)[kQuads]) {
    typename Input::Raw raw[kQuads];
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        raw[q] = {};
        if (inside_tile(q) < size) {
            raw[q] = input.template load<whole>(begin + inside_tile(q), begin + size);
        }
    }
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        x[q] = Input::floats(raw[q]);
    }
}

template <typename Input>
GRADWIRE_DEVICE void load_tile(const Input& input, std::uint64_t begin, std::uint64_t size,
                               Quad<float> (&x)[kQuads]) {
    if (size % kQuad == 0 && input.whole_quads()) {
        load_tile<true>(input, begin, size, x);
    } else {
        load_tile<false>(input, begin, size, x);
    }
}

}  // namespace cuda
}  // namespace gradwire
