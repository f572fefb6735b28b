// One float32 to and from the 16-bit types, by integer arithmetic: independent of the
// floating-point environment, and what the vector instructions of simd.h do.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Of x != 0.
GRADWIRE_BOTH inline std::uint32_t leading_zeros(std::uint32_t x) noexcept {
#if defined(__CUDA_ARCH__)
    return static_cast<std::uint32_t>(__clz(static_cast<int>(x)));
#else
    return static_cast<std::uint32_t>(__builtin_clz(x));
#endif
}

GRADWIRE_BOTH inline float widen(bfloat16 x) noexcept {
    return bits_float(static_cast<std::uint32_t>(x.bits) << 16);
}

// To nearest even; too large becomes infinity; NaN stays NaN: made quiet, its sign and leading
// payload bits kept.
GRADWIRE_BOTH inline bfloat16 to_bfloat16(float x) noexcept {
    const std::uint32_t bits = float_bits(x);
    // Half of the last kept place, less one unless that place is odd: ties go to even. A carry
    // runs into the exponent and, from the largest numbers, to exactly infinity.
    const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    const std::uint32_t quiet = (bits >> 16) | 0x40U;
    const bool nan = (bits & kMagnitudeMask) > kInfinityMagnitude;
    return {static_cast<std::uint16_t>(nan ? quiet : rounded)};
}

GRADWIRE_BOTH inline float widen(float16 x) noexcept {
    const std::uint32_t sign = (x.bits & 0x8000U) << 16;
    const std::uint32_t kept = x.bits & 0x7FFFU;
#if defined(__CUDA_ARCH__)
    if (kept <= 0x7C00U) {  // all but NaN, of whose bits the processor would keep none
        float wide;
        asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
        return wide;
    }
#endif
    if (kept >= 0x7C00U) {  // infinity; NaN, made quiet
        return bits_float(sign | kInfinityMagnitude | (kept << 13) |
                          (kept > 0x7C00U ? 0x400000U : 0));
    }
    if (kept >= 0x400U) {
        return bits_float(sign | ((kept << 13) + (std::uint32_t{112} << 23)));
    }
    if (kept == 0) {
        return bits_float(sign);
    }
    // A denormal: kept * 2^-24, normalised.
    const auto lead = 31 - leading_zeros(kept);
    return bits_float(sign | ((lead + 103) << 23) | ((kept << (23 - lead)) & 0x7FFFFFU));
}

// Rounding and NaN as for bfloat16.
GRADWIRE_BOTH inline float16 to_float16(float x) noexcept {
    const std::uint32_t bits = float_bits(x);
    const std::uint32_t sign = (bits >> 16) & 0x8000U;
    const std::uint32_t kept = bits & kMagnitudeMask;
#if defined(__CUDA_ARCH__)
    if (kept <= kInfinityMagnitude) {
        std::uint16_t rounded;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(rounded) : "f"(x));
        return {rounded};
    }
#endif
    std::uint32_t half = 0x7C00U;  // infinity
    if (kept > kInfinityMagnitude) {
        half = 0x7E00U | ((kept >> 13) & 0x3FFU);
    } else if (kept < 0x38800000U) {  // below 2^-14, the smallest normal number
        // The last place is worth 2^-24.
        const std::uint32_t exponent = kept >> 23;
        const std::uint32_t significand = (kept & 0x7FFFFFU) | 0x800000U;
        const std::uint32_t shift = 126 - exponent;
        if (shift > 24) {  // at most half of the smallest denormal, which is even's side
            half = 0;
        } else {
            const std::uint32_t odd = (significand >> shift) & 1U;
            half = (significand + (std::uint32_t{1} << (shift - 1)) - 1 + odd) >> shift;
        }
    } else if (kept < 0x47800000U) {  // below 2^16; from 65520 on the carry gives infinity
        half = (kept - (std::uint32_t{112} << 23) + 0xFFFU + ((kept >> 13) & 1U)) >> 13;
    }
    return {static_cast<std::uint16_t>(sign | half)};
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
