// Codes of 8 bits for the numbers of one table times a scale per block: dynamic tree quantisation
// (Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", 2015, and "8-bit Optimizers
// via Block-wise Quantization", 2022). The closer to zero, the closer together the numbers are.
//
// Table. For each decade d = 0 to 6, the interval from 0.1 to 1 times 10^-d is cut into equal
// parts, m = 2^(6 - d) of them; the middle of part j < m is in the table, and its negative:
//   (2 m + 18 j + 9) / (20 m 10^d), both exact in float32, divided and rounded once.
// These 254 numbers, 5.5e-7 to 0.99296875 in magnitude, and 0 and 1 (but not -1) are numbered from
// the lowest to the highest: code 127 is 0, 127 - k the negative of 127 + k, and 255 is 1.
//
// Codes: one byte per element, in the order of the elements. Scales: float32, one per block, the
// largest magnitude in it. Arithmetic, in float32:
//   t = x / scale                        0 where the scale is 0
//   code: the number nearest to t, compared exactly; halfway between two, the lower one
//   decoded value = number * scale
// Division needs no care for denormal or huge scales, as 1 / scale would: |t| <= 1 always.
// Non-finite x makes the scale of its block NaN: its codes are all 127, and it decodes to NaN.
//
// Error: |value - x| <= 0.45 / 64 of the scale, and 0.45 / m 10^-d of it in decade d, give or take
// float32's own rounding. Deterministic: the same bits in every instruction set.
//
// block: a multiple of 16, or 0 for one block of everything. x and gradient: float, bfloat16,
// float16 or double (see types.h); decoded values: the first three.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// ceil(n / block) scales, n codes. sizeof(T) + 1 bytes per element, sizeof(T) more if a block does
// not fit in the cache.
template <typename T>
void quantize_dynamic(const T* x, std::uint64_t n, std::uint64_t block, float* scales,
                      std::uint8_t* codes) noexcept;

// acc = residual + gradient (in this operand order), quantised; error = acc - decoded value, NaN in
// a block with non-finite numbers. error may be gradient itself if T is float; nothing else may
// overlap. 13 bytes per element (float32, in place), 8 more if a block does not fit in the cache.
template <typename T>
void compensate_quantize_dynamic(const T* gradient, const float* residual, std::uint64_t n,
                                 std::uint64_t block, float* error, float* scales,
                                 std::uint8_t* codes) noexcept;

// Any bytes are valid codes, and any floats scales.
template <typename T>
void dequantize_dynamic(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                        std::uint64_t block, T* out) noexcept;
void dequantize_dynamic_add(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                            std::uint64_t block, float* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
