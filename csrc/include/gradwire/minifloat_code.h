// The formats of gradwire/minifloat.h, and one number to its code and back.
//
// Numbers from 2^e on are spaced 2^(e - mantissa bits) apart, and so are denormals with the
// smallest e; float32 rounds to that spacing when 2^(e - mantissa bits + 23) is added.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"
#include "gradwire/minifloat.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr int kFloatBias = 127;
constexpr int kFloatMantissa = 23;  // bits
constexpr std::uint32_t kNanBits = 0x7FC00000U;
constexpr std::uint8_t kNanScale = 255;

struct MinifloatFormat {
    unsigned bits;
    int mantissa;
    int bias;
    int largest_exponent;    // of the largest number
    std::uint32_t largest;   // its code
    std::uint32_t infinity;  // code of what is beyond, or no code at all: 0x80
    std::uint32_t nan;
};

constexpr std::uint32_t kNoCode = 0x80;  // more than any code without its sign

constexpr MinifloatFormat kMinifloatFormats[] = {
    {8, 3, 7, 8, 0x7E, kNoCode, 0x7F},    {8, 2, 15, 15, 0x7B, 0x7C, 0x7E},
    {6, 2, 3, 4, 0x1F, kNoCode, kNoCode}, {6, 3, 1, 2, 0x1F, kNoCode, kNoCode},
    {4, 1, 1, 2, 0x07, kNoCode, kNoCode}, {8, 6, 0, 0, 0x7F, kNoCode, kNoCode},
};

inline const MinifloatFormat& format_of(Minifloat format) noexcept {
    return kMinifloatFormats[static_cast<std::uint8_t>(format)];
}

GRADWIRE_BOTH inline float power_of_two(int exponent) noexcept {  // -149 to 127
    return exponent < 1 - kFloatBias
               ? bits_float(1U << (exponent + 149))
               : bits_float(static_cast<std::uint32_t>(exponent + kFloatBias) << kFloatMantissa);
}

// Of a block whose largest magnitude is `most`.
GRADWIRE_BOTH inline std::uint8_t mx_scale(std::uint32_t most, int largest_exponent) noexcept {
    if (most >= kInfinityMagnitude) {
        return kNanScale;
    }
    // Denormals are below every exponent that a scale can have.
    const int exponent = static_cast<int>(most >> kFloatMantissa) - largest_exponent;
    return static_cast<std::uint8_t>(exponent < 0 ? 0 : exponent);
}

// What elements are multiplied by before they are encoded, and after they were decoded.
GRADWIRE_BOTH inline float mx_down(std::uint8_t scale) noexcept {
    return power_of_two(kFloatBias - scale);
}
GRADWIRE_BOTH inline float mx_up(std::uint8_t scale) noexcept {
    return scale == kNanScale ? bits_float(kNanBits) : power_of_two(scale - kFloatBias);
}

class MinifloatCode {
  public:
    explicit MinifloatCode(Minifloat format) noexcept : MinifloatCode(format_of(format)) {
        integer_ = format == Minifloat::int8;
    }

    // Of finite numbers; the sign is above the other bits.
    GRADWIRE_BOTH std::uint32_t encode(float x) const noexcept {
        return integer_ ? encode_integer(x) : encode_float(x);
    }

    // Of all numbers, for formats that have a NaN.
    GRADWIRE_BOTH std::uint32_t encode_any(float x) const noexcept {
        const std::uint32_t size = magnitude(x);
        if (size < kInfinityMagnitude) {
            return encode_float(x);
        }
        const std::uint32_t infinity = infinity_ == kNoCode ? nan_ : infinity_;
        return (float_bits(x) >> 24 & 0x80U) | (size == kInfinityMagnitude ? infinity : nan_);
    }

    // Of codes below 2^bits.
    GRADWIRE_BOTH float decode(std::uint32_t code) const noexcept {
        return integer_ ? decode_integer(code) : decode_float(code);
    }

  private:
    explicit MinifloatCode(const MinifloatFormat& format) noexcept
        : sign_(1U << (format.bits - 1)),
          sign_shift_(32 - format.bits),
          shift_(static_cast<std::uint32_t>(kFloatMantissa - format.mantissa)),
          rebias_(static_cast<std::uint32_t>(kFloatBias - format.bias) << format.mantissa),
          last_code_(format.largest),
          infinity_(format.infinity),
          nan_(format.nan),
          smallest_(power_of_two(1 - format.bias)),
          last_place_(power_of_two(1 - format.bias - format.mantissa)),
          places_(1.0F / last_place_),
          largest_(bits_float((format.largest + rebias_) << shift_)) {}

    GRADWIRE_BOTH std::uint32_t encode_float(float x) const noexcept {
        const std::uint32_t sign = float_bits(x) >> sign_shift_ & sign_;
        const float whole = bits_float(magnitude(x));
        const float size = whole < largest_ ? whole : largest_;
        const std::uint32_t lead = float_bits(size < smallest_ ? smallest_ : size);
        const float spacing = bits_float((lead & kInfinityMagnitude) + (shift_ << kFloatMantissa));
        const float sum = size + spacing;
        const float near = sum - spacing;
        const float rounded = near < largest_ ? near : largest_;
        return sign | (rounded < smallest_ ? static_cast<std::uint32_t>(rounded * places_)
                                           : (float_bits(rounded) >> shift_) - rebias_);
    }

    GRADWIRE_BOTH float decode_float(std::uint32_t code) const noexcept {
        const std::uint32_t sign = (code & sign_) << sign_shift_;
        const std::uint32_t size = code & (sign_ - 1);
        const std::uint32_t normal = (size + rebias_) << shift_;
        const std::uint32_t denormal = float_bits(static_cast<float>(size) * last_place_);
        std::uint32_t value = normal < float_bits(smallest_) ? denormal : normal;
        value = size > last_code_ ? kNanBits : value;
        value = size == infinity_ ? kInfinityMagnitude : value;
        return bits_float(value | sign);
    }

    // 64ths in two's complement.
    GRADWIRE_BOTH static std::uint32_t encode_integer(float x) noexcept {
        constexpr float kOneIsTheLastPlace = 12582912.0F;  // 1.5 * 2^23
        const float scaled = x * 64.0F;
        const float above = scaled > -127.0F ? scaled : -127.0F;
        const float confined = above < 127.0F ? above : 127.0F;
        return float_bits(confined + kOneIsTheLastPlace) & 0xFFU;
    }
    GRADWIRE_BOTH static float decode_integer(std::uint32_t code) noexcept {
        // Bit 7 counts -128.
        return static_cast<float>(static_cast<int>(code ^ 0x80U) - 0x80) * (1.0F / 64.0F);
    }

    bool integer_ = false;
    std::uint32_t sign_, sign_shift_;
    std::uint32_t shift_, rebias_;
    std::uint32_t last_code_, infinity_, nan_;
    float smallest_;    // normal number
    float last_place_;  // of denormals
    float places_;      // in 1
    float largest_;
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
