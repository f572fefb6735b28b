// Sixteen lanes as two AVX2 registers; see simd_generic.h for the meaning of every name.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Floats {
    __m256 low, high;
};

constexpr unsigned kFloatsInRegisters = 8;

struct Words {
    __m256i low, high;
};

GRADWIRE_SIMD __m256i load_256(const void* p) noexcept {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
GRADWIRE_SIMD __m128i load_128(const void* p) noexcept {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
GRADWIRE_SIMD void store_256(void* p, __m256i x) noexcept {
    _mm256_storeu_si256(static_cast<__m256i*>(p), x);
}
GRADWIRE_SIMD __m256i all(std::uint32_t value) noexcept {
    return _mm256_set1_epi32(static_cast<int>(value));
}

GRADWIRE_SIMD Words load(const std::uint32_t* p) noexcept {
    return {load_256(p), load_256(p + 8)};
}
GRADWIRE_SIMD Words load(const std::uint16_t* p) noexcept {
    return {_mm256_cvtepu16_epi32(load_128(p)), _mm256_cvtepu16_epi32(load_128(p + 8))};
}
GRADWIRE_SIMD Words load(const std::uint8_t* p) noexcept {
    const __m128i bytes = load_128(p);
    return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
GRADWIRE_SIMD Floats load(const float* p) noexcept {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
GRADWIRE_SIMD Floats load(const bfloat16* p) noexcept {
    const __m256i low = _mm256_cvtepu16_epi32(load_128(p));
    const __m256i high = _mm256_cvtepu16_epi32(load_128(p + 8));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
}
GRADWIRE_SIMD Floats load(const float16* p) noexcept {
    return {_mm256_cvtph_ps(load_128(p)), _mm256_cvtph_ps(load_128(p + 8))};
}
GRADWIRE_SIMD __m256 load_eight(const double* p) noexcept {
    return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(p + 4)),
                           _mm256_cvtpd_ps(_mm256_loadu_pd(p)));
}
GRADWIRE_SIMD Floats load(const double* p) noexcept {
    return {load_eight(p), load_eight(p + 8)};
}

template <int pair>
GRADWIRE_SIMD std::uint64_t two_lanes(Words x) noexcept {
    const __m128i four = _mm256_extracti128_si256(pair < 4 ? x.low : x.high, pair % 4 / 2);
    return static_cast<std::uint64_t>(_mm_extract_epi64(four, pair % 2));
}
GRADWIRE_SIMD void store(std::uint32_t* p, Words x) noexcept {
    store_256(p, x.low);
    store_256(p + 8, x.high);
}
GRADWIRE_SIMD __m256i low_halves(__m256i low, __m256i high) noexcept {
    const __m256i packed = _mm256_packus_epi32(_mm256_and_si256(low, all(0xFFFF)),
                                               _mm256_and_si256(high, all(0xFFFF)));
    return _mm256_permute4x64_epi64(packed, 0xD8);
}
GRADWIRE_SIMD void store(std::uint16_t* p, Words x) noexcept {
    store_256(p, low_halves(x.low, x.high));
}
GRADWIRE_SIMD void store(std::uint8_t* p, Words x) noexcept {
    const __m256i halves =
        low_halves(_mm256_and_si256(x.low, all(0xFF)), _mm256_and_si256(x.high, all(0xFF)));
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(p),
        _mm_packus_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
}
GRADWIRE_SIMD void store(float* p, Floats x) noexcept {
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
}
GRADWIRE_SIMD __m256i rounded_to_bfloat16(__m256 x) noexcept {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i high = _mm256_srli_epi32(bits, 16);
    const __m256i half = _mm256_add_epi32(_mm256_and_si256(high, all(1)), all(0x7FFF));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
    const __m256i quiet = _mm256_or_si256(high, all(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, quiet, nan);
}
GRADWIRE_SIMD void store(bfloat16* p, Floats x) noexcept {
    store_256(p, low_halves(rounded_to_bfloat16(x.low), rounded_to_bfloat16(x.high)));
}
GRADWIRE_SIMD void store(float16* p, Floats x) noexcept {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    store_256(
        p, _mm256_set_m128i(_mm256_cvtps_ph(x.high, kNearest), _mm256_cvtps_ph(x.low, kNearest)));
}

GRADWIRE_SIMD Words look_up(const std::uint32_t* table, Words index) noexcept {
    const auto* const p = reinterpret_cast<const int*>(table);
    return {_mm256_i32gather_epi32(p, index.low, 4), _mm256_i32gather_epi32(p, index.high, 4)};
}
GRADWIRE_SIMD Floats look_up(const float* table, Words index) noexcept {
    return {_mm256_i32gather_ps(table, index.low, 4), _mm256_i32gather_ps(table, index.high, 4)};
}

GRADWIRE_SIMD void stream(float* p, Floats x) noexcept {
    _mm256_stream_ps(p, x.low);
    _mm256_stream_ps(p + 8, x.high);
}
GRADWIRE_SIMD void stream_quarters(float* p, Floats x) noexcept {  // p is aligned to 16 bytes
    _mm_stream_ps(p, _mm256_castps256_ps128(x.low));
    _mm_stream_ps(p + 4, _mm256_extractf128_ps(x.low, 1));
    _mm_stream_ps(p + 8, _mm256_castps256_ps128(x.high));
    _mm_stream_ps(p + 12, _mm256_extractf128_ps(x.high, 1));
}
GRADWIRE_SIMD void finish_streams() noexcept {
    _mm_sfence();
}

// For each mask of 8 lanes: the numbers of its lanes, one after the other.
struct CompressTable {
    std::uint32_t lanes[256][8];
};
constexpr CompressTable make_compress_table() noexcept {
    CompressTable table{};
    for (std::uint32_t mask = 0; mask < 256; ++mask) {
        std::uint32_t count = 0;
        for (std::uint32_t lane = 0; lane < 8; ++lane) {
            if ((mask >> lane & 1U) != 0) {
                table.lanes[mask][count++] = lane;
            }
        }
    }
    return table;
}
alignas(32) static constexpr CompressTable kCompress = make_compress_table();

GRADWIRE_SIMD __m256i compress(__m256i x, std::uint32_t mask) noexcept {
    return _mm256_permutevar8x32_epi32(x, load_256(kCompress.lanes[mask]));
}
GRADWIRE_SIMD void compress_store(std::uint32_t* p, Mask mask, Words x) noexcept {
    const std::uint32_t low = mask & 0xFFU;
    store_256(p, compress(x.low, low));
    store_256(p + __builtin_popcount(low), compress(x.high, mask >> 8));
}

GRADWIRE_SIMD Floats floats(float value) noexcept {
    return {_mm256_set1_ps(value), _mm256_set1_ps(value)};
}
GRADWIRE_SIMD Words words(std::uint32_t value) noexcept {
    return {all(value), all(value)};
}
GRADWIRE_SIMD Words lane_numbers() noexcept {
    return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
            _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)};
}
GRADWIRE_SIMD Words as_words(Floats x) noexcept {
    return {_mm256_castps_si256(x.low), _mm256_castps_si256(x.high)};
}
GRADWIRE_SIMD Floats as_floats(Words x) noexcept {
    return {_mm256_castsi256_ps(x.low), _mm256_castsi256_ps(x.high)};
}
GRADWIRE_SIMD void compress_store(float* p, Mask mask, Floats x) noexcept {
    compress_store(reinterpret_cast<std::uint32_t*>(p), mask, as_words(x));
}

GRADWIRE_SIMD Mask mask_of(__m256i low, __m256i high) noexcept {
    const int bits = _mm256_movemask_ps(_mm256_castsi256_ps(low)) |
                     _mm256_movemask_ps(_mm256_castsi256_ps(high)) << 8;
    return static_cast<Mask>(bits);
}
GRADWIRE_SIMD Words lanes_of(Mask mask) noexcept {  // all bits set in the lanes of the mask
    const __m256i low = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i high = _mm256_slli_epi32(low, 8);
    const __m256i bits = all(mask);
    return {_mm256_cmpeq_epi32(_mm256_and_si256(bits, low), low),
            _mm256_cmpeq_epi32(_mm256_and_si256(bits, high), high)};
}

GRADWIRE_SIMD Floats operator+(Floats a, Floats b) noexcept {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
GRADWIRE_SIMD Floats operator-(Floats a, Floats b) noexcept {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
GRADWIRE_SIMD Floats operator*(Floats a, Floats b) noexcept {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
GRADWIRE_SIMD Floats operator/(Floats a, Floats b) noexcept {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
GRADWIRE_SIMD Mask less(Floats a, Floats b) noexcept {
    return mask_of(_mm256_castps_si256(_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
                   _mm256_castps_si256(_mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ)));
}
GRADWIRE_SIMD Mask less_equal(Floats a, Floats b) noexcept {
    return mask_of(_mm256_castps_si256(_mm256_cmp_ps(a.low, b.low, _CMP_LE_OQ)),
                   _mm256_castps_si256(_mm256_cmp_ps(a.high, b.high, _CMP_LE_OQ)));
}

template <unsigned distance>
GRADWIRE_SIMD __m256 exchange_lanes(__m256 x) noexcept {
    if constexpr (distance == 4) {
        return _mm256_permute2f128_ps(x, x, 1);
    } else {
        return _mm256_permute_ps(x, distance == 1 ? 0xB1 : 0x4E);
    }
}
template <unsigned distance>
GRADWIRE_SIMD Floats exchange_lanes(Floats x) noexcept {
    if constexpr (distance == 8) {
        return {x.high, x.low};
    } else {
        return {exchange_lanes<distance>(x.low), exchange_lanes<distance>(x.high)};
    }
}

GRADWIRE_SIMD Words truncate(Floats x) noexcept {
    return {_mm256_cvttps_epi32(x.low), _mm256_cvttps_epi32(x.high)};
}
GRADWIRE_SIMD Floats to_floats(Words x) noexcept {
    return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)};
}

GRADWIRE_SIMD Words operator+(Words a, Words b) noexcept {
    return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
GRADWIRE_SIMD Words operator-(Words a, Words b) noexcept {
    return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
}
GRADWIRE_SIMD Words operator&(Words a, Words b) noexcept {
    return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
GRADWIRE_SIMD Words operator|(Words a, Words b) noexcept {
    return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
GRADWIRE_SIMD Words operator^(Words a, Words b) noexcept {
    return {_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
}
template <int bits>
GRADWIRE_SIMD Words shift_left(Words x) noexcept {
    return {_mm256_slli_epi32(x.low, bits), _mm256_slli_epi32(x.high, bits)};
}
template <int bits>
GRADWIRE_SIMD Words shift_right(Words x) noexcept {
    return {_mm256_srli_epi32(x.low, bits), _mm256_srli_epi32(x.high, bits)};
}
GRADWIRE_SIMD Words shift_left(Words x, Words bits) noexcept {
    return {_mm256_sllv_epi32(x.low, bits.low), _mm256_sllv_epi32(x.high, bits.high)};
}
GRADWIRE_SIMD Words shift_right(Words x, Words bits) noexcept {
    return {_mm256_srlv_epi32(x.low, bits.low), _mm256_srlv_epi32(x.high, bits.high)};
}
GRADWIRE_SIMD Words multiply_low(Words a, Words b) noexcept {
    return {_mm256_mullo_epi32(a.low, b.low), _mm256_mullo_epi32(a.high, b.high)};
}
GRADWIRE_SIMD __m256i multiply_high(__m256i a, __m256i b) noexcept {
    const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(a, b), 32);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    return _mm256_blend_epi32(even, odd, 0xAA);
}
GRADWIRE_SIMD Words multiply_high(Words a, Words b) noexcept {
    return {multiply_high(a.low, b.low), multiply_high(a.high, b.high)};
}
GRADWIRE_SIMD Words larger(Words a, Words b) noexcept {
    return {_mm256_max_epi32(a.low, b.low), _mm256_max_epi32(a.high, b.high)};
}
GRADWIRE_SIMD Words smaller(Words a, Words b) noexcept {
    return {_mm256_min_epi32(a.low, b.low), _mm256_min_epi32(a.high, b.high)};
}
GRADWIRE_SIMD Mask less(Words a, Words b) noexcept {
    return mask_of(_mm256_cmpgt_epi32(b.low, a.low), _mm256_cmpgt_epi32(b.high, a.high));
}
GRADWIRE_SIMD Mask equal(Words a, Words b) noexcept {
    return mask_of(_mm256_cmpeq_epi32(a.low, b.low), _mm256_cmpeq_epi32(a.high, b.high));
}

GRADWIRE_SIMD Words choose(Mask mask, Words yes, Words no) noexcept {
    const Words lanes = lanes_of(mask);
    return {_mm256_blendv_epi8(no.low, yes.low, lanes.low),
            _mm256_blendv_epi8(no.high, yes.high, lanes.high)};
}
GRADWIRE_SIMD Floats choose(Mask mask, Floats yes, Floats no) noexcept {
    return as_floats(choose(mask, as_words(yes), as_words(no)));
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
    return {_mm256_blendv_ps(no.low, yes.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
            _mm256_blendv_ps(no.high, yes.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}
GRADWIRE_SIMD Floats larger(Floats a, Floats b) noexcept {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
GRADWIRE_SIMD Floats smaller(Floats a, Floats b) noexcept {
    return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}

GRADWIRE_SIMD Words round_to_nearest(Floats x) noexcept {
    return {_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)};
}

struct Doubles {
    __m256d quarter[4];
};

GRADWIRE_SIMD Doubles doubles(double value) noexcept {
    const __m256d x = _mm256_set1_pd(value);
    return {{x, x, x, x}};
}
GRADWIRE_SIMD Doubles widen(Floats x) noexcept {
    return {{_mm256_cvtps_pd(_mm256_castps256_ps128(x.low)),
             _mm256_cvtps_pd(_mm256_extractf128_ps(x.low, 1)),
             _mm256_cvtps_pd(_mm256_castps256_ps128(x.high)),
             _mm256_cvtps_pd(_mm256_extractf128_ps(x.high, 1))}};
}
GRADWIRE_SIMD Doubles operator+(Doubles a, Doubles b) noexcept {
    return {{_mm256_add_pd(a.quarter[0], b.quarter[0]), _mm256_add_pd(a.quarter[1], b.quarter[1]),
             _mm256_add_pd(a.quarter[2], b.quarter[2]), _mm256_add_pd(a.quarter[3], b.quarter[3])}};
}
GRADWIRE_SIMD Doubles operator*(Doubles a, Doubles b) noexcept {
    return {{_mm256_mul_pd(a.quarter[0], b.quarter[0]), _mm256_mul_pd(a.quarter[1], b.quarter[1]),
             _mm256_mul_pd(a.quarter[2], b.quarter[2]), _mm256_mul_pd(a.quarter[3], b.quarter[3])}};
}
GRADWIRE_SIMD void store(double* p, Doubles x) noexcept {
    for (std::uint64_t i = 0; i < 4; ++i) {
        _mm256_storeu_pd(p + 4 * i, x.quarter[i]);
    }
}

GRADWIRE_SIMD Words multiply_even(Words a, Words b) noexcept {
    return {_mm256_mul_epu32(a.low, b.low), _mm256_mul_epu32(a.high, b.high)};
}
GRADWIRE_SIMD Words odd_to_even(Words x) noexcept {
    return {_mm256_srli_epi64(x.low, 32), _mm256_srli_epi64(x.high, 32)};
}
GRADWIRE_SIMD Words join_even(Words low, Words high) noexcept {
    return {_mm256_blend_epi32(low.low, _mm256_slli_epi64(high.low, 32), 0xAA),
            _mm256_blend_epi32(low.high, _mm256_slli_epi64(high.high, 32), 0xAA)};
}
GRADWIRE_SIMD Words interleave_low(Words a, Words b) noexcept {
    return {_mm256_unpacklo_epi64(a.low, b.low), _mm256_unpacklo_epi64(a.high, b.high)};
}
GRADWIRE_SIMD Words interleave_high(Words a, Words b) noexcept {
    return {_mm256_unpackhi_epi64(a.low, b.low), _mm256_unpackhi_epi64(a.high, b.high)};
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
