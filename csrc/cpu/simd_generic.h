// Sixteen lanes as arrays; what every name of simd.h means.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "gradwire/half.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Floats {
    float lane[kLanes];
};

// What can be held at once; compilers keep these arrays in memory anyway.
constexpr unsigned kFloatsInRegisters = 16;

struct Words {  // 32 bits each, unsigned unless a name says otherwise
    std::uint32_t lane[kLanes];
};

// The result of an operation on each lane.
template <typename Result, typename Operation>
GRADWIRE_SIMD Result each(Operation operation) noexcept {
    Result result;
    for (std::uint64_t i = 0; i < kLanes; ++i) {
        result.lane[i] = operation(i);
    }
    return result;
}

template <typename Predicate>
GRADWIRE_SIMD Mask mask_where(Predicate predicate) noexcept {
    std::uint32_t mask = 0;
    for (std::uint64_t i = 0; i < kLanes; ++i) {
        mask |= static_cast<std::uint32_t>(predicate(i)) << i;
    }
    return static_cast<Mask>(mask);
}

// ---- memory; no alignment is needed ----

GRADWIRE_SIMD Floats load(const float* p) noexcept {
    Floats result;
    std::memcpy(result.lane, p, sizeof result.lane);
    return result;
}
GRADWIRE_SIMD Floats load(const bfloat16* p) noexcept {
    return each<Floats>([=](std::uint64_t i) { return widen(p[i]); });
}
GRADWIRE_SIMD Floats load(const float16* p) noexcept {
    return each<Floats>([=](std::uint64_t i) { return widen(p[i]); });
}
// Rounded as the floating-point environment says: see float_environment.h.
GRADWIRE_SIMD Floats load(const double* p) noexcept {
    Floats result = each<Floats>([=](std::uint64_t i) { return static_cast<float>(p[i]); });
    // GCC 12 forgets the rounding of unrolled loops if the lanes become doubles again.
    __asm__("" : "+m"(result));
    return result;
}
GRADWIRE_SIMD Words load(const std::uint32_t* p) noexcept {
    Words result;
    std::memcpy(result.lane, p, sizeof result.lane);
    return result;
}
GRADWIRE_SIMD Words load(const std::uint16_t* p) noexcept {  // zero-extended
    return each<Words>([=](std::uint64_t i) { return std::uint32_t{p[i]}; });
}
GRADWIRE_SIMD Words load(const std::uint8_t* p) noexcept {  // zero-extended
    return each<Words>([=](std::uint64_t i) { return std::uint32_t{p[i]}; });
}

GRADWIRE_SIMD void store(float* p, Floats x) noexcept {
    std::memcpy(p, x.lane, sizeof x.lane);
}
GRADWIRE_SIMD void store(bfloat16* p, Floats x) noexcept {  // to nearest even
    for (std::uint64_t i = 0; i < kLanes; ++i) {
        p[i] = to_bfloat16(x.lane[i]);
    }
}
GRADWIRE_SIMD void store(float16* p, Floats x) noexcept {  // to nearest even
    for (std::uint64_t i = 0; i < kLanes; ++i) {
        p[i] = to_float16(x.lane[i]);
    }
}
template <int pair>
GRADWIRE_SIMD std::uint64_t two_lanes(const Words& x) noexcept {
    return x.lane[2 * pair] | std::uint64_t{x.lane[2 * pair + 1]} << 32;
}
GRADWIRE_SIMD void store(std::uint32_t* p, Words x) noexcept {
    std::memcpy(p, x.lane, sizeof x.lane);
}
GRADWIRE_SIMD void store(std::uint16_t* p, Words x) noexcept {  // the low 16 bits of each lane
    for (std::uint64_t i = 0; i < kLanes; ++i) {
        p[i] = static_cast<std::uint16_t>(x.lane[i]);
    }
}
GRADWIRE_SIMD void store(std::uint8_t* p, Words x) noexcept {  // the low 8 bits of each lane
    for (std::uint64_t i = 0; i < kLanes; ++i) {
        p[i] = static_cast<std::uint8_t>(x.lane[i]);
    }
}

// table[index] of each lane.
GRADWIRE_SIMD Words look_up(const std::uint32_t* table, Words index) noexcept {
    return each<Words>([&](std::uint64_t i) { return table[index.lane[i]]; });
}
GRADWIRE_SIMD Floats look_up(const float* table, Words index) noexcept {
    return each<Floats>([&](std::uint64_t i) { return table[index.lane[i]]; });
}

// Past the caches, for what is not read again soon; p is aligned to 64 bytes. Other threads see it
// after finish_streams().
GRADWIRE_SIMD void stream(float* p, Floats x) noexcept {
    store(p, x);
}
GRADWIRE_SIMD void stream_quarters(float* p, Floats x) noexcept {  // p is aligned to 16 bytes
    store(p, x);
}
GRADWIRE_SIMD void finish_streams() noexcept {}

// Writes the lanes of the mask one after the other. All 16 places behind p may be written to.
GRADWIRE_SIMD void compress_store(float* p, Mask mask, Floats x) noexcept {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < kLanes; ++i) {
        p[count] = x.lane[i];
        count += (std::uint32_t{mask} >> i) & 1U;
    }
}
GRADWIRE_SIMD void compress_store(std::uint32_t* p, Mask mask, Words x) noexcept {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < kLanes; ++i) {
        p[count] = x.lane[i];
        count += (std::uint32_t{mask} >> i) & 1U;
    }
}

// Writes first + the number of each set bit of the word, one after the other, and returns how many
// there are. All 64 places behind p may be written to.
GRADWIRE_SIMD std::uint64_t store_set_bits(std::uint32_t* p, std::uint64_t word,
                                           std::uint32_t first) noexcept {
    std::uint64_t count = 0;
    for (; word != 0; word &= word - 1) {
        p[count++] = first + static_cast<std::uint32_t>(__builtin_ctzll(word));
    }
    return count;
}

// ---- all lanes alike, and bits ----

GRADWIRE_SIMD Floats floats(float value) noexcept {
    return each<Floats>([=](std::uint64_t) { return value; });
}
GRADWIRE_SIMD Words words(std::uint32_t value) noexcept {
    return each<Words>([=](std::uint64_t) { return value; });
}
GRADWIRE_SIMD Words lane_numbers() noexcept {  // 0, 1, ..., 15
    return each<Words>([](std::uint64_t i) { return static_cast<std::uint32_t>(i); });
}
GRADWIRE_SIMD Words as_words(Floats x) noexcept {
    Words result;
    std::memcpy(result.lane, x.lane, sizeof result.lane);
    return result;
}
GRADWIRE_SIMD Floats as_floats(Words x) noexcept {
    Floats result;
    std::memcpy(result.lane, x.lane, sizeof result.lane);
    return result;
}

// ---- float32, as IEEE 754 rounds to nearest ----

GRADWIRE_SIMD Floats operator+(Floats a, Floats b) noexcept {
    return each<Floats>([&](std::uint64_t i) { return a.lane[i] + b.lane[i]; });
}
GRADWIRE_SIMD Floats operator-(Floats a, Floats b) noexcept {
    return each<Floats>([&](std::uint64_t i) { return a.lane[i] - b.lane[i]; });
}
GRADWIRE_SIMD Floats operator*(Floats a, Floats b) noexcept {
    return each<Floats>([&](std::uint64_t i) { return a.lane[i] * b.lane[i]; });
}
GRADWIRE_SIMD Floats operator/(Floats a, Floats b) noexcept {
    return each<Floats>([&](std::uint64_t i) { return a.lane[i] / b.lane[i]; });
}
GRADWIRE_SIMD Mask less(Floats a, Floats b) noexcept {  // false where either is NaN
    return mask_where([&](std::uint64_t i) { return a.lane[i] < b.lane[i]; });
}
GRADWIRE_SIMD Mask less_equal(Floats a, Floats b) noexcept {  // false where either is NaN
    return mask_where([&](std::uint64_t i) { return a.lane[i] <= b.lane[i]; });
}

template <unsigned distance>                              // 1, 2, 4 or 8
GRADWIRE_SIMD Floats exchange_lanes(Floats x) noexcept {  // lane i gets lane i ^ distance
    return each<Floats>([&](std::uint64_t i) { return x.lane[i ^ distance]; });
}

// ---- conversions: values in (-2^31, 2^31) ----

GRADWIRE_SIMD Words truncate(Floats x) noexcept {  // towards zero, as two's complement
    return each<Words>([&](std::uint64_t i) {
        return static_cast<std::uint32_t>(static_cast<std::int32_t>(x.lane[i]));
    });
}
GRADWIRE_SIMD Floats to_floats(Words x) noexcept {  // of two's complement
    return each<Floats>(
        [&](std::uint64_t i) { return static_cast<float>(static_cast<std::int32_t>(x.lane[i])); });
}

// ---- integers; additions and products wrap around ----

GRADWIRE_SIMD Words operator+(Words a, Words b) noexcept {
    return each<Words>([&](std::uint64_t i) { return a.lane[i] + b.lane[i]; });
}
GRADWIRE_SIMD Words operator-(Words a, Words b) noexcept {
    return each<Words>([&](std::uint64_t i) { return a.lane[i] - b.lane[i]; });
}
GRADWIRE_SIMD Words operator&(Words a, Words b) noexcept {
    return each<Words>([&](std::uint64_t i) { return a.lane[i] & b.lane[i]; });
}
GRADWIRE_SIMD Words operator|(Words a, Words b) noexcept {
    return each<Words>([&](std::uint64_t i) { return a.lane[i] | b.lane[i]; });
}
GRADWIRE_SIMD Words operator^(Words a, Words b) noexcept {
    return each<Words>([&](std::uint64_t i) { return a.lane[i] ^ b.lane[i]; });
}
template <int bits>
GRADWIRE_SIMD Words shift_left(Words x) noexcept {
    return each<Words>([&](std::uint64_t i) { return x.lane[i] << bits; });
}
template <int bits>
GRADWIRE_SIMD Words shift_right(Words x) noexcept {  // zeros come in
    return each<Words>([&](std::uint64_t i) { return x.lane[i] >> bits; });
}
GRADWIRE_SIMD Words shift_left(Words x, Words bits) noexcept {  // each lane by its own, < 32
    return each<Words>([&](std::uint64_t i) { return x.lane[i] << bits.lane[i]; });
}
GRADWIRE_SIMD Words shift_right(Words x, Words bits) noexcept {
    return each<Words>([&](std::uint64_t i) { return x.lane[i] >> bits.lane[i]; });
}
GRADWIRE_SIMD Words multiply_low(Words a, Words b) noexcept {
    return each<Words>([&](std::uint64_t i) { return a.lane[i] * b.lane[i]; });
}
GRADWIRE_SIMD Words multiply_high(Words a, Words b) noexcept {
    return each<Words>([&](std::uint64_t i) {
        return static_cast<std::uint32_t>((std::uint64_t{a.lane[i]} * b.lane[i]) >> 32);
    });
}
// From here on words are below 2^31, as magnitudes are.
GRADWIRE_SIMD Words larger(Words a, Words b) noexcept {
    return each<Words>(
        [&](std::uint64_t i) { return a.lane[i] < b.lane[i] ? b.lane[i] : a.lane[i]; });
}
GRADWIRE_SIMD Words smaller(Words a, Words b) noexcept {
    return each<Words>(
        [&](std::uint64_t i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
GRADWIRE_SIMD Mask less(Words a, Words b) noexcept {
    return mask_where([&](std::uint64_t i) { return a.lane[i] < b.lane[i]; });
}
GRADWIRE_SIMD Mask equal(Words a, Words b) noexcept {
    return mask_where([&](std::uint64_t i) { return a.lane[i] == b.lane[i]; });
}

// ---- choosing ----

GRADWIRE_SIMD Floats choose(Mask mask, Floats yes, Floats no) noexcept {
    return each<Floats>([&](std::uint64_t i) {
        return ((std::uint32_t{mask} >> i) & 1U) != 0 ? yes.lane[i] : no.lane[i];
    });
}
GRADWIRE_SIMD Words choose(Mask mask, Words yes, Words no) noexcept {
    return each<Words>([&](std::uint64_t i) {
        return ((std::uint32_t{mask} >> i) & 1U) != 0 ? yes.lane[i] : no.lane[i];
    });
}

GRADWIRE_SIMD Floats choose_less(Floats a, Floats b, Floats yes, Floats no) noexcept {
    return each<Floats>(
        [&](std::uint64_t i) { return a.lane[i] < b.lane[i] ? yes.lane[i] : no.lane[i]; });
}
// The second operand where they are equal or one is NaN.
GRADWIRE_SIMD Floats larger(Floats a, Floats b) noexcept {
    return each<Floats>(
        [&](std::uint64_t i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
GRADWIRE_SIMD Floats smaller(Floats a, Floats b) noexcept {
    return each<Floats>(
        [&](std::uint64_t i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}

// ---- rounding to integers, as two's complement: values in (-2^31, 2^31) ----

GRADWIRE_SIMD Words round_to_nearest(Floats x) noexcept {      // ties to even
    constexpr double kOneIsTheLastPlace = 6755399441055744.0;  // 1.5 * 2^52
    return each<Words>([&](std::uint64_t i) {
        const double shifted = static_cast<double>(x.lane[i]) + kOneIsTheLastPlace;
        std::uint64_t bits;
        std::memcpy(&bits, &shifted, sizeof bits);
        return static_cast<std::uint32_t>(bits);
    });
}

// ---- float64 ----

struct Doubles {
    double lane[kLanes];
};

GRADWIRE_SIMD Doubles doubles(double value) noexcept {
    return each<Doubles>([=](std::uint64_t) { return value; });
}
GRADWIRE_SIMD Doubles widen(Floats x) noexcept {
    return each<Doubles>([&](std::uint64_t i) { return static_cast<double>(x.lane[i]); });
}
GRADWIRE_SIMD Doubles operator+(Doubles a, Doubles b) noexcept {
    return each<Doubles>([&](std::uint64_t i) { return a.lane[i] + b.lane[i]; });
}
GRADWIRE_SIMD Doubles operator*(Doubles a, Doubles b) noexcept {
    return each<Doubles>([&](std::uint64_t i) { return a.lane[i] * b.lane[i]; });
}
GRADWIRE_SIMD void store(double* p, Doubles x) noexcept {
    std::memcpy(p, x.lane, sizeof x.lane);
}

// ---- pairs of lanes (2i, 2i + 1) as 64 bits, the low word first ----

GRADWIRE_SIMD Words multiply_even(Words a, Words b) noexcept {  // the products of the even lanes
    Words result;
    for (std::uint64_t i = 0; i < kLanes; i += 2) {
        const std::uint64_t product = std::uint64_t{a.lane[i]} * b.lane[i];
        result.lane[i] = static_cast<std::uint32_t>(product);
        result.lane[i + 1] = static_cast<std::uint32_t>(product >> 32);
    }
    return result;
}
GRADWIRE_SIMD Words odd_to_even(Words x) noexcept {  // and 0 in the odd lanes
    return each<Words>([&](std::uint64_t i) { return i % 2 == 0 ? x.lane[i + 1] : 0U; });
}
GRADWIRE_SIMD Words join_even(Words low, Words high) noexcept {  // even lanes of both
    return each<Words>(
        [&](std::uint64_t i) { return i % 2 == 0 ? low.lane[i] : high.lane[i - 1]; });
}
// Lanes 4i, 4i + 1 of both, one after the other.
GRADWIRE_SIMD Words interleave_low(Words a, Words b) noexcept {
    return each<Words>([&](std::uint64_t i) { return i % 4 < 2 ? a.lane[i] : b.lane[i - 2]; });
}
// Lanes 4i + 2, 4i + 3 of both.
GRADWIRE_SIMD Words interleave_high(Words a, Words b) noexcept {
    return each<Words>([&](std::uint64_t i) { return i % 4 < 2 ? a.lane[i + 2] : b.lane[i]; });
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
