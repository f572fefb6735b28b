// Encoding by the dynamic table, a quad at a time (see gradwire/dynamic.h).
#pragma once

#include <cstdint>

#include "gradwire/dynamic_table.h"
#include "gradwire/scales.h"
#include "queue.h"
#include "vectors.h"

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

}  // namespace cuda
}  // namespace gradwire
