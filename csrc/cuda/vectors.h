// Elements of vectors as float32, four at a time where memory allows.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "gradwire/half.h"
#include "gradwire/types.h"
#include "simt.h"

namespace gradwire {
inline namespace cuda {

GRADWIRE_DEVICE float to_float(float x) {
    return x;
}
// A NaN as types.h wants it: GPUs have one only, when left to themselves.
GRADWIRE_DEVICE float to_float(double x) {
    if (x != x) {
        std::uint64_t bits;
        memcpy(&bits, &x, sizeof bits);
        const auto sign = static_cast<std::uint32_t>(bits >> 32) & 0x80000000U;
        const auto payload = static_cast<std::uint32_t>(bits >> 29) & 0x003FFFFFU;
        return __uint_as_float(sign | 0x7FC00000U | payload);
    }
    return static_cast<float>(x);
}
GRADWIRE_DEVICE float to_float(bfloat16 x) {
    return widen(x);
}
GRADWIRE_DEVICE float to_float(float16 x) {
    return widen(x);
}

// Rounded to nearest even.
template <typename T>
GRADWIRE_DEVICE T from_float(float x) {
    if constexpr (std::is_same_v<T, bfloat16>) {
        return to_bfloat16(x);
    } else if constexpr (std::is_same_v<T, float16>) {
        return to_float16(x);
    } else {
        return static_cast<T>(x);
    }
}

constexpr unsigned kQuad = 4;

template <typename T>
struct Quad {
    T at[kQuad];
};

// The word that holds four elements of so many bytes.
template <std::size_t bytes>
struct QuadWord;
template <>
struct QuadWord<4> {
    using Type = std::uint32_t;
};
template <>
struct QuadWord<8> {
    using Type = uint2;
};
template <>
struct QuadWord<16> {
    using Type = uint4;
};

// Whether quads of x are words of memory.
template <typename T>
GRADWIRE_DEVICE bool in_words(const T* x) {
    return sizeof(T) == 8 || reinterpret_cast<std::uintptr_t>(x) % (kQuad * sizeof(T)) == 0;
}

// Elements i to i + 3 of x, all of which are there, x + i being in_words. Memory is read once: it
// goes past the caches.
template <typename T>
GRADWIRE_DEVICE Quad<T> load_whole_quad(const T* x, std::uint64_t i) {
    Quad<T> quad;
    if constexpr (sizeof(T) == 8) {
        for (unsigned j = 0; j < kQuad; ++j) {
            quad.at[j] = __ldcs(x + i + j);
        }
    } else {
        using Word = typename QuadWord<kQuad * sizeof(T)>::Type;
        const Word word = __ldcs(reinterpret_cast<const Word*>(x + i));
        memcpy(&quad, &word, sizeof quad);
    }
    return quad;
}

// Elements i to i + 3 of x; zeros behind its end.
template <typename T>
GRADWIRE_DEVICE Quad<T> load_quad(const T* x, std::uint64_t i, std::uint64_t n) {
    if (i + kQuad <= n && in_words(x + i)) {
        return load_whole_quad(x, i);
    }
    Quad<T> quad;
    for (unsigned j = 0; j < kQuad; ++j) {
        quad.at[j] = i + j < n ? x[i + j] : T{};
    }
    return quad;
}

// Writes elements i to i + 3 of x, up to its end.
template <typename T>
GRADWIRE_DEVICE void store_quad(T* x, std::uint64_t i, std::uint64_t n, const Quad<T>& quad) {
    using Word = typename QuadWord<kQuad * sizeof(T)>::Type;
    if (i + kQuad <= n && reinterpret_cast<std::uintptr_t>(x + i) % sizeof(Word) == 0) {
        Word word;
        memcpy(&word, &quad, sizeof word);
        *reinterpret_cast<Word*>(x + i) = word;
    } else {
        for (unsigned j = 0; j < kQuad; ++j) {
            if (i + j < n) {
                x[i + j] = quad.at[j];
            }
        }
    }
}

template <typename T>
GRADWIRE_DEVICE Quad<float> to_floats(const Quad<T>& quad) {
    return {
        {to_float(quad.at[0]), to_float(quad.at[1]), to_float(quad.at[2]), to_float(quad.at[3])}};
}

template <typename T>
GRADWIRE_DEVICE Quad<float> load_floats(const T* x, std::uint64_t i, std::uint64_t n) {
    return to_floats(load_quad(x, i, n));
}

template <typename T>
GRADWIRE_DEVICE void store_floats(T* x, std::uint64_t i, std::uint64_t n, const Quad<float>& quad) {
    store_quad(x, i, n,
               Quad<T>{{from_float<T>(quad.at[0]), from_float<T>(quad.at[1]),
                        from_float<T>(quad.at[2]), from_float<T>(quad.at[3])}});
}

// The first element of this thread's quad in a grid that covers a vector.
GRADWIRE_DEVICE std::uint64_t own_quad() {
    return (std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kQuad;
}

}  // namespace cuda
}  // namespace gradwire
