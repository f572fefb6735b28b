// A chunk of 512 elements in the registers of a warp, 16 to a lane: quad q of lane l holds elements
// 128 q + 4 l to 128 q + 4 l + 3, so a warp's loads and stores of a quad are one run of memory.
#pragma once

#include <cstdint>

#include "draws.h"
#include "gradwire/chunks.h"
#include "simt.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kQuads = 4;
constexpr unsigned kRow = kWarp * kQuad;  // elements from a quad of a lane to its next

struct WarpChunk {
    std::uint64_t begin;  // a multiple of 16
    std::uint64_t n;      // of the vector; above begin

    GRADWIRE_DEVICE unsigned size() const {
        return n - begin < kChunk ? static_cast<unsigned>(n - begin) : unsigned{kChunk};
    }
    // Where in the chunk quad q of this lane begins.
    GRADWIRE_DEVICE static unsigned offset(unsigned q) { return kRow * q + kQuad * lane(); }
    GRADWIRE_DEVICE std::uint64_t element(unsigned q) const { return begin + offset(q); }
    // The same, or the last element if that lies behind the end.
    GRADWIRE_DEVICE std::uint64_t existing(unsigned q) const {
        return element(q) < n ? element(q) : n - 1;
    }
};

// The number of this thread's warp in the grid.
GRADWIRE_DEVICE std::uint64_t own_warp() {
    return (std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
}

struct ChunkFloats {
    Quad<float> quad[kQuads];  // zeros behind the end
};

// Codes below 256, those of a quad in a word, the first one in its low byte.
struct ChunkCodes {
    std::uint32_t quad[kQuads];
};

GRADWIRE_DEVICE std::uint32_t code_in(std::uint32_t codes, unsigned j) {
    return codes >> (8 * j) & 0xFFU;
}

// The random bits of a quad.
struct QuadDraw {
    std::uint32_t word[kQuad / 2];

    GRADWIRE_DEVICE std::uint32_t at(unsigned j) const {
        return j % 2 == 0 ? word[j / 2] & 0xFFFFU : word[j / 2] >> 16;
    }
};

// Those of quads 2 * pair and 2 * pair + 1. Two lanes draw for eight elements of each and share.
GRADWIRE_DEVICE void draw_pair(const RandomStream& stream, const WarpChunk& chunk, unsigned pair,
                               QuadDraw (&bits)[2]) {
    const unsigned odd = lane() % 2;
    const Draw own = draw(stream, chunk.begin + kRow * (2 * pair + odd) + kDrawn * (lane() / 2));
    GRADWIRE_UNROLL
    for (unsigned i = 0; i < kQuad / 2; ++i) {
        const std::uint32_t low = own.word[i], high = own.word[i + kQuad / 2];
        const std::uint32_t other = __shfl_xor_sync(kFullWarp, odd != 0 ? low : high, 1);
        bits[0].word[i] = odd != 0 ? other : low;
        bits[1].word[i] = odd != 0 ? high : other;
    }
}

// ---- what a chunk is read from: `load` reads a quad (a whole one if so told), `floats` computes
// ----

template <bool whole, typename T>
GRADWIRE_DEVICE Quad<T> load_input(const T* x, std::uint64_t i, std::uint64_t n) {
    if constexpr (whole) {
        return load_whole_quad(x, i);
    } else {
        return load_quad(x, i, n);
    }
}

template <typename T>
struct PlainInput {
    using Raw = Quad<T>;

    const T* x;

    GRADWIRE_DEVICE bool whole_quads() const { return in_words(x); }
    template <bool whole>
    GRADWIRE_DEVICE Raw load(std::uint64_t i, std::uint64_t n) const {
        return load_input<whole>(x, i, n);
    }
    GRADWIRE_DEVICE static Quad<float> floats(const Raw& raw) { return to_floats(raw); }
    GRADWIRE_DEVICE float element(std::uint64_t i) const { return to_float(x[i]); }
};

// residual + gradient, in this operand order.
template <typename T>
struct CompensatedInput {
    struct Raw {
        Quad<T> gradient;
        Quad<float> residual;
    };

    const T* gradient;
    const float* residual;

    GRADWIRE_DEVICE bool whole_quads() const { return in_words(gradient) && in_words(residual); }
    template <bool whole>
    GRADWIRE_DEVICE Raw load(std::uint64_t i, std::uint64_t n) const {
        return {load_input<whole>(gradient, i, n), load_input<whole>(residual, i, n)};
    }
    GRADWIRE_DEVICE static Quad<float> floats(const Raw& raw) {
        Quad<float> sum = to_floats(raw.gradient);
        for (unsigned j = 0; j < kQuad; ++j) {
            sum.at[j] = raw.residual.at[j] + sum.at[j];
        }
        return sum;
    }
    GRADWIRE_DEVICE float element(std::uint64_t i) const {
        return residual[i] + to_float(gradient[i]);
    }
};

// All is read before anything waits for it.
template <bool whole, typename Input>
GRADWIRE_DEVICE ChunkFloats load_chunk_as(const Input& input, const WarpChunk& chunk) {
    typename Input::Raw raw[kQuads];
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        raw[q] = input.template load<whole>(chunk.element(q), chunk.n);
    }
    ChunkFloats x;
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        x.quad[q] = Input::floats(raw[q]);
    }
    return x;
}

template <typename Input>
GRADWIRE_DEVICE ChunkFloats load_chunk(const Input& input, const WarpChunk& chunk) {
    if (chunk.begin + kChunk <= chunk.n && input.whole_quads()) {
        return load_chunk_as<true>(input, chunk);
    }
    return load_chunk_as<false>(input, chunk);
}

}  // namespace cuda
}  // namespace gradwire
