// Sixty-four bytes as two AVX2 registers; see bytes_generic.h for the meaning of every name.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "bytes.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Bytes {
    __m256i low, high;
};

GRADWIRE_SIMD Bytes load_bytes(const std::uint8_t* p) noexcept {
    return {load_256(p), load_256(p + 32)};
}
GRADWIRE_SIMD void store_bytes(std::uint8_t* p, Bytes x) noexcept {
    store_256(p, x.low);
    store_256(p + 32, x.high);
}
GRADWIRE_SIMD Bytes no_bytes() noexcept {
    return {_mm256_setzero_si256(), _mm256_setzero_si256()};
}
GRADWIRE_SIMD Bytes operator|(Bytes a, Bytes b) noexcept {
    return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}

// Moves the plane to the highest bit of each byte, where the processor gathers it.
GRADWIRE_SIMD std::uint32_t highest_bits(__m256i x, unsigned plane) noexcept {
    const __m128i distance = _mm_cvtsi32_si128(static_cast<int>(7 - plane));
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_sll_epi16(x, distance)));
}
GRADWIRE_SIMD ByteMask bytes_with(Bytes x, unsigned plane) noexcept {
    return highest_bits(x.low, plane) | ByteMask{highest_bits(x.high, plane)} << 32;
}

GRADWIRE_SIMD __m256i bit_where(std::uint32_t mask, __m256i bit) noexcept {
    // Byte i of the result looks at byte i / 8 of the mask, and there at bit i % 8.
    const __m256i places = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,  //
                                            2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i own = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201U));
    const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(all(mask), places), own);
    return _mm256_and_si256(_mm256_cmpeq_epi8(spread, own), bit);
}
GRADWIRE_SIMD Bytes set_bit(Bytes x, unsigned plane, ByteMask mask) noexcept {
    const __m256i bit = _mm256_set1_epi8(static_cast<char>(1U << plane));
    return x | Bytes{bit_where(static_cast<std::uint32_t>(mask), bit),
                     bit_where(static_cast<std::uint32_t>(mask >> 32), bit)};
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
