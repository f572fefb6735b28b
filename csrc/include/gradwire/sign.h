// Signs with a scale per block: one bit and 4 / block bytes per element.
//
// Code i is bit i % 8 of byte i / 8, least significant first: 1 where x >= 0 (zeros of both signs),
// 0 where x < 0 or NaN. Unused bits are 0. ceil(n / 8) bytes: the planes of gradwire/quantize.h for
// one bit. A code stands for scale or -scale.
//
// The scale is the mean of |x| over the block, in float32, computed in float64: element i of the
// block is added to sum i % 16 in index order, the 16 sums are added i to i + 8, i + 4, i + 2,
// i + 1, and divided by the elements. Non-finite x makes it NaN, and the whole block decodes to
// NaN. Given scales are read instead of computed.
//
// x and gradient: float, bfloat16, float16 or double (see types.h); decoded values: the first
// three.
//
// block: a multiple of 16, or 0 for one block of everything.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Reads x once if a block fits in the cache or scales are given: sizeof(T) + 1/8 bytes per element.
template <typename T>
void quantize_sign(const T* x, std::uint64_t n, std::uint64_t block, bool given, float* scales,
                   std::uint8_t* codes) noexcept;

// acc = residual + gradient (in this operand order), quantised; error = acc - decoded value.
// error may be gradient itself if T is float; nothing else may overlap. 12 + 1/8 bytes per element
// (float32, in place).
template <typename T>
void compensate_sign(const T* gradient, const float* residual, std::uint64_t n, std::uint64_t block,
                     bool given, float* error, float* scales, std::uint8_t* codes) noexcept;

template <typename T>
void dequantize_sign(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                     std::uint64_t block, T* out) noexcept;
void dequantize_sign_add(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                         std::uint64_t block, float* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
