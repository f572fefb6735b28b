// Floating-point numbers of 4 to 8 bits, and blocks of 32 of them with a shared power of two (OCP
// Microscaling Formats 1.0).
//
//            sign, exponent, mantissa bits   bias   largest   beyond
//   e4m3     1, 4, 3                         7      448       NaN 0x7F; no infinity
//   e5m2     1, 5, 2                         15     57344     infinity 0x7C, NaN above
//   e3m2     1, 3, 2                         3      28        nothing
//   e2m3     1, 2, 3                         1      7.5       nothing
//   e2m1     1, 2, 1                         1      6         nothing
//   int8     two's complement, 64ths         -      127 / 64  -128 is never written
//
// Numbers are rounded to nearest, ties to even, denormals included; finite ones beyond the largest
// become the largest.
//
// x: float, bfloat16, float16 or double (see types.h); decoded values: the first three.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

enum class Minifloat : std::uint8_t { e4m3, e5m2, e3m2, e2m3, e2m1, int8 };

constexpr std::uint64_t kMxBlock = 32;

inline unsigned minifloat_bits(Minifloat format) noexcept {
    constexpr unsigned kBits[] = {8, 8, 6, 6, 4, 8};
    return kBits[static_cast<std::uint8_t>(format)];
}

// One byte per element; e4m3 and e5m2 only. NaN becomes NaN; infinity infinity, or NaN in e4m3.
template <typename T>
void to_minifloat(const T* x, std::uint64_t n, Minifloat format, std::uint8_t* codes) noexcept;
template <typename T>
void from_minifloat(const std::uint8_t* codes, std::uint64_t n, Minifloat format, T* out) noexcept;

// A block of 32 elements (the last one may be short) is x = element * 2^(scale - 127). With E the
// exponent of max |x|, floor(log2), the scale is E less the exponent of the largest element,
// confined to [-127, 127], plus 127; 255 where x is not finite, which decodes to NaN throughout.
// Elements are packed as the codes of gradwire/quantize.h. ceil(n / 32) scales.
template <typename T>
void quantize_mx(const T* x, std::uint64_t n, Minifloat format, std::uint8_t* scales,
                 std::uint8_t* codes) noexcept;

// Any bytes are valid; the value is rounded once to float32, then to T.
template <typename T>
void dequantize_mx(const std::uint8_t* codes, const std::uint8_t* scales, std::uint64_t n,
                   Minifloat format, T* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
