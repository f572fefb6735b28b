// Sixty-four bytes as one AVX-512 register; see bytes_generic.h for the meaning of every name.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "bytes.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Bytes {
    __m512i v;
};

GRADWIRE_SIMD Bytes load_bytes(const std::uint8_t* p) noexcept {
    return {_mm512_loadu_si512(p)};
}
GRADWIRE_SIMD void store_bytes(std::uint8_t* p, Bytes x) noexcept {
    _mm512_storeu_si512(p, x.v);
}
GRADWIRE_SIMD Bytes no_bytes() noexcept {
    return {_mm512_setzero_si512()};
}
GRADWIRE_SIMD Bytes operator|(Bytes a, Bytes b) noexcept {
    return {_mm512_or_si512(a.v, b.v)};
}
GRADWIRE_SIMD __m512i bit_in_each(unsigned plane) noexcept {
    return _mm512_set1_epi8(static_cast<char>(1U << plane));
}
GRADWIRE_SIMD ByteMask bytes_with(Bytes x, unsigned plane) noexcept {
    return _mm512_test_epi8_mask(x.v, bit_in_each(plane));
}
GRADWIRE_SIMD Bytes set_bit(Bytes x, unsigned plane, ByteMask mask) noexcept {
    return {_mm512_or_si512(x.v, _mm512_maskz_mov_epi8(mask, bit_in_each(plane)))};
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
