// Natural compression (Horvath et al., 2019) to 8 bits: a sign and a power of two, stochastically
// rounded so that the mean is the number itself.
//
// Let e be the exponent of |x| as float32 stores it and m its 23 further bits. With the element's
// 16 random bits u (random_bits.h), e becomes e + 1 if (m >> 7) > u. The code is the sign bit and
// min(max(e, 18), 145) - 18: 1 to 127 stand for 2^-108 to 2^18, and 0 for a zero of that sign.
// So below 2^-108 everything but what is rounded up to it becomes zero, and above 2^18 everything
// saturates. Infinities and NaN saturate too: the encoder reports them.
//
// x: float, bfloat16, float16 or double (see types.h); decoded values: the first three.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/random_bits.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Returns whether all of x is finite. sizeof(T) + 1 bytes per element.
template <typename T>
bool quantize_natural(const T* x, std::uint64_t n, RandomStream random,
                      std::uint8_t* codes) noexcept;

// Any bytes are valid codes.
template <typename T>
void dequantize_natural(const std::uint8_t* codes, std::uint64_t n, T* out) noexcept;
void dequantize_natural_add(const std::uint8_t* codes, std::uint64_t n, float* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
