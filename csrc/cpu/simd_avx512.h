// Sixteen lanes as one AVX-512 register (F, BW, DQ and VL); see simd_generic.h for the meaning of
// every name.
#pragma once

// GCC 12 takes the undefined operands that its own intrinsics use for a mistake.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#include <cstdint>

#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Floats {
    __m512 v;
};

constexpr unsigned kFloatsInRegisters = 32;

struct Words {
    __m512i v;
};

GRADWIRE_SIMD __m256i load_256(const void* p) noexcept {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
GRADWIRE_SIMD void store_256(void* p, __m256i x) noexcept {
    _mm256_storeu_si256(static_cast<__m256i*>(p), x);
}

GRADWIRE_SIMD Words load(const std::uint32_t* p) noexcept {
    return {_mm512_loadu_si512(p)};
}
GRADWIRE_SIMD Words load(const std::uint16_t* p) noexcept {
    return {_mm512_cvtepu16_epi32(load_256(p))};
}
GRADWIRE_SIMD Words load(const std::uint8_t* p) noexcept {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
GRADWIRE_SIMD Floats load(const float* p) noexcept {
    return {_mm512_loadu_ps(p)};
}
GRADWIRE_SIMD Floats load(const bfloat16* p) noexcept {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_256(p)), 16))};
}
GRADWIRE_SIMD Floats load(const float16* p) noexcept {
    return {_mm512_cvtph_ps(load_256(p))};
}
GRADWIRE_SIMD Floats load(const double* p) noexcept {
    const __m256 low = _mm512_cvtpd_ps(_mm512_loadu_pd(p));
    return {_mm512_insertf32x8(_mm512_castps256_ps512(low), _mm512_cvtpd_ps(_mm512_loadu_pd(p + 8)),
                               1)};
}

// Lanes 2 pair and, in the high half, 2 pair + 1.
template <int pair>
GRADWIRE_SIMD std::uint64_t two_lanes(Words x) noexcept {
    const __m128i four = _mm512_extracti32x4_epi32(x.v, pair / 2);
    return static_cast<std::uint64_t>(_mm_extract_epi64(four, pair % 2));
}
GRADWIRE_SIMD void store(std::uint32_t* p, Words x) noexcept {
    _mm512_storeu_si512(p, x.v);
}
GRADWIRE_SIMD void store(std::uint16_t* p, Words x) noexcept {
    store_256(p, _mm512_cvtepi32_epi16(x.v));
}
GRADWIRE_SIMD void store(std::uint8_t* p, Words x) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x.v));
}
GRADWIRE_SIMD void store(float* p, Floats x) noexcept {
    _mm512_storeu_ps(p, x.v);
}
GRADWIRE_SIMD void store(bfloat16* p, Floats x) noexcept {
    const __m512i bits = _mm512_castps_si512(x.v);
    const __m512i high = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
    const __m512i quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
    const Mask nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
    store_256(p, _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, quiet)));
}
GRADWIRE_SIMD void store(float16* p, Floats x) noexcept {
    store_256(p, _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

GRADWIRE_SIMD Words look_up(const std::uint32_t* table, Words index) noexcept {
    return {_mm512_i32gather_epi32(index.v, table, 4)};
}
GRADWIRE_SIMD Floats look_up(const float* table, Words index) noexcept {
    return {_mm512_i32gather_ps(index.v, table, 4)};
}

GRADWIRE_SIMD void stream(float* p, Floats x) noexcept {
    _mm512_stream_ps(p, x.v);
}
GRADWIRE_SIMD void stream_quarters(float* p, Floats x) noexcept {  // p is aligned to 16 bytes
    _mm_stream_ps(p, _mm512_castps512_ps128(x.v));
    _mm_stream_ps(p + 4, _mm512_extractf32x4_ps(x.v, 1));
    _mm_stream_ps(p + 8, _mm512_extractf32x4_ps(x.v, 2));
    _mm_stream_ps(p + 12, _mm512_extractf32x4_ps(x.v, 3));
}
GRADWIRE_SIMD void finish_streams() noexcept {
    _mm_sfence();
}

// In a register first: compressing straight into memory is slower, on some processors much.
GRADWIRE_SIMD void compress_store(float* p, Mask mask, Floats x) noexcept {
    _mm512_storeu_ps(p, _mm512_maskz_compress_ps(mask, x.v));
}
GRADWIRE_SIMD void compress_store(std::uint32_t* p, Mask mask, Words x) noexcept {
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi32(mask, x.v));
}

GRADWIRE_SIMD Floats floats(float value) noexcept {
    return {_mm512_set1_ps(value)};
}
GRADWIRE_SIMD Words words(std::uint32_t value) noexcept {
    return {_mm512_set1_epi32(static_cast<int>(value))};
}
GRADWIRE_SIMD Words lane_numbers() noexcept {
    return {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
}
GRADWIRE_SIMD Words as_words(Floats x) noexcept {
    return {_mm512_castps_si512(x.v)};
}
GRADWIRE_SIMD Floats as_floats(Words x) noexcept {
    return {_mm512_castsi512_ps(x.v)};
}

GRADWIRE_SIMD Floats operator+(Floats a, Floats b) noexcept {
    return {_mm512_add_ps(a.v, b.v)};
}
GRADWIRE_SIMD Floats operator-(Floats a, Floats b) noexcept {
    return {_mm512_sub_ps(a.v, b.v)};
}
GRADWIRE_SIMD Floats operator*(Floats a, Floats b) noexcept {
    return {_mm512_mul_ps(a.v, b.v)};
}
GRADWIRE_SIMD Floats operator/(Floats a, Floats b) noexcept {
    return {_mm512_div_ps(a.v, b.v)};
}
GRADWIRE_SIMD Mask less(Floats a, Floats b) noexcept {
    return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ);
}
GRADWIRE_SIMD Mask less_equal(Floats a, Floats b) noexcept {
    return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ);
}

template <unsigned distance>
GRADWIRE_SIMD Floats exchange_lanes(Floats x) noexcept {
    constexpr int kOrder = distance == 1 || distance == 4 ? 0xB1 : 0x4E;  // 1 0 3 2, 2 3 0 1
    if constexpr (distance >= 4) {
        return {_mm512_shuffle_f32x4(x.v, x.v, kOrder)};
    } else {
        return {_mm512_permute_ps(x.v, kOrder)};
    }
}

GRADWIRE_SIMD Words truncate(Floats x) noexcept {
    return {_mm512_cvttps_epi32(x.v)};
}
GRADWIRE_SIMD Floats to_floats(Words x) noexcept {
    return {_mm512_cvtepi32_ps(x.v)};
}

GRADWIRE_SIMD Words operator+(Words a, Words b) noexcept {
    return {_mm512_add_epi32(a.v, b.v)};
}
GRADWIRE_SIMD Words operator-(Words a, Words b) noexcept {
    return {_mm512_sub_epi32(a.v, b.v)};
}
GRADWIRE_SIMD Words operator&(Words a, Words b) noexcept {
    return {_mm512_and_si512(a.v, b.v)};
}
GRADWIRE_SIMD Words operator|(Words a, Words b) noexcept {
    return {_mm512_or_si512(a.v, b.v)};
}
GRADWIRE_SIMD Words operator^(Words a, Words b) noexcept {
    return {_mm512_xor_si512(a.v, b.v)};
}
template <int bits>
GRADWIRE_SIMD Words shift_left(Words x) noexcept {
    return {_mm512_slli_epi32(x.v, bits)};
}
template <int bits>
GRADWIRE_SIMD Words shift_right(Words x) noexcept {
    return {_mm512_srli_epi32(x.v, bits)};
}
GRADWIRE_SIMD Words shift_left(Words x, Words bits) noexcept {
    return {_mm512_sllv_epi32(x.v, bits.v)};
}
GRADWIRE_SIMD Words shift_right(Words x, Words bits) noexcept {
    return {_mm512_srlv_epi32(x.v, bits.v)};
}
GRADWIRE_SIMD Words multiply_low(Words a, Words b) noexcept {
    return {_mm512_mullo_epi32(a.v, b.v)};
}
GRADWIRE_SIMD Words multiply_high(Words a, Words b) noexcept {
    const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(a.v, b.v), 32);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a.v, 32), _mm512_srli_epi64(b.v, 32));
    return {_mm512_mask_mov_epi32(even, 0xAAAA, odd)};
}
GRADWIRE_SIMD Words larger(Words a, Words b) noexcept {
    return {_mm512_max_epi32(a.v, b.v)};
}
GRADWIRE_SIMD Words smaller(Words a, Words b) noexcept {
    return {_mm512_min_epi32(a.v, b.v)};
}
GRADWIRE_SIMD Mask less(Words a, Words b) noexcept {
    return _mm512_cmplt_epi32_mask(a.v, b.v);
}
GRADWIRE_SIMD Mask equal(Words a, Words b) noexcept {
    return _mm512_cmpeq_epi32_mask(a.v, b.v);
}

GRADWIRE_SIMD Floats choose(Mask mask, Floats yes, Floats no) noexcept {
    return {_mm512_mask_mov_ps(no.v, mask, yes.v)};
}
GRADWIRE_SIMD Words choose(Mask mask, Words yes, Words no) noexcept {
    return {_mm512_mask_mov_epi32(no.v, mask, yes.v)};
}

GRADWIRE_SIMD std::uint64_t store_set_bits(std::uint32_t* p, std::uint64_t word,
                                           std::uint32_t first) noexcept {
    std::uint64_t count = 0;
    for (std::uint32_t bit = 0; bit < 64; bit += kLanes) {
        const auto mask = static_cast<Mask>(word >> bit);
        compress_store(p + count, mask, words(first + bit) + lane_numbers());
        count += count_lanes(mask);
    }
    return count;
}

GRADWIRE_SIMD Floats choose_less(Floats a, Floats b, Floats yes, Floats no) noexcept {
    return choose(less(a, b), yes, no);
}
GRADWIRE_SIMD Floats larger(Floats a, Floats b) noexcept {
    return {_mm512_max_ps(a.v, b.v)};
}
GRADWIRE_SIMD Floats smaller(Floats a, Floats b) noexcept {
    return {_mm512_min_ps(a.v, b.v)};
}

GRADWIRE_SIMD Words round_to_nearest(Floats x) noexcept {
    return {_mm512_cvtps_epi32(x.v)};
}

struct Doubles {
    __m512d low, high;
};

GRADWIRE_SIMD Doubles doubles(double value) noexcept {
    return {_mm512_set1_pd(value), _mm512_set1_pd(value)};
}
GRADWIRE_SIMD Doubles widen(Floats x) noexcept {
    return {_mm512_cvtps_pd(_mm512_castps512_ps256(x.v)),
            _mm512_cvtps_pd(_mm512_extractf32x8_ps(x.v, 1))};
}
GRADWIRE_SIMD Doubles operator+(Doubles a, Doubles b) noexcept {
    return {_mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high)};
}
GRADWIRE_SIMD Doubles operator*(Doubles a, Doubles b) noexcept {
    return {_mm512_mul_pd(a.low, b.low), _mm512_mul_pd(a.high, b.high)};
}
GRADWIRE_SIMD void store(double* p, Doubles x) noexcept {
    _mm512_storeu_pd(p, x.low);
    _mm512_storeu_pd(p + 8, x.high);
}

GRADWIRE_SIMD Words multiply_even(Words a, Words b) noexcept {
    return {_mm512_mul_epu32(a.v, b.v)};
}
GRADWIRE_SIMD Words odd_to_even(Words x) noexcept {
    return {_mm512_srli_epi64(x.v, 32)};
}
GRADWIRE_SIMD Words join_even(Words low, Words high) noexcept {
    return {_mm512_mask_mov_epi32(low.v, 0xAAAA, _mm512_slli_epi64(high.v, 32))};
}
GRADWIRE_SIMD Words interleave_low(Words a, Words b) noexcept {
    return {_mm512_unpacklo_epi64(a.v, b.v)};
}
GRADWIRE_SIMD Words interleave_high(Words a, Words b) noexcept {
    return {_mm512_unpackhi_epi64(a.v, b.v)};
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
