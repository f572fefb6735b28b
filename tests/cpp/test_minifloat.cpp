#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/minifloat.h"
#include "gradwire/minifloat_code.h"
#include "gradwire/quantize.h"

using gradwire::Minifloat;

namespace {

constexpr Minifloat kFormats[] = {Minifloat::e4m3, Minifloat::e5m2, Minifloat::e3m2,
                                  Minifloat::e2m3, Minifloat::e2m1, Minifloat::int8};

// Each exponent with mantissas all over, and whose last bits are close to ties of every format.
std::vector<float> floats_of_all_kinds() {
    std::vector<float> all;
    for (std::uint32_t lead = 0; lead < 1U << 16; lead += 9) {
        for (const std::uint32_t rest : {0U, 1U, 0x7FFFU, 0x8000U, 0x8001U, 0xFFFFU}) {
            all.push_back(gradwire::bits_float(lead << 16 | rest));
        }
    }
    return all;
}

std::uint8_t byte(std::uint32_t code) {
    return static_cast<std::uint8_t>(code);
}

bool same_float(float a, float b) {
    return gradwire::float_bits(a) == gradwire::float_bits(b) || (std::isnan(a) && std::isnan(b));
}

}  // namespace

TEST(eight_bit_floats_survive_the_round_trip) {
    for (const Minifloat format : {Minifloat::e4m3, Minifloat::e5m2}) {
        std::vector<std::uint8_t> codes(253);
        for (std::uint64_t i = 0; i < codes.size(); ++i) {
            codes[i] = static_cast<std::uint8_t>(i);
        }
        std::vector<float> values(codes.size());
        std::vector<std::uint8_t> again(codes.size());
        gradwire::from_minifloat(codes.data(), codes.size(), format, values.data());
        gradwire::to_minifloat(values.data(), values.size(), format, again.data());
        bool same = true;
        for (std::uint64_t i = 0; i < codes.size(); ++i) {
            same = same && (std::isnan(values[i]) || again[i] == codes[i]);
        }
        CHECK(same);
    }
}

TEST(mx_blocks_stay_inside_their_buffers) {
    for (const std::uint64_t n : {0U, 1U, 15U, 17U, 31U, 32U, 33U, 511U, 512U, 513U, 1050U}) {
        std::vector<float> x(n);
        for (std::uint64_t i = 0; i < n; ++i) {
            x[i] = std::ldexp(std::sin(static_cast<float>(i)), static_cast<int>(i % 260) - 140);
        }
        for (const Minifloat format : kFormats) {
            std::vector<std::uint8_t> scales((n + 31) / 32);
            std::vector<std::uint8_t> codes(
                gradwire::code_bytes(n, gradwire::minifloat_bits(format)));
            gradwire::quantize_mx(x.data(), n, format, scales.data(), codes.data());
            std::vector<float> values(n);
            gradwire::dequantize_mx(codes.data(), scales.data(), n, format, values.data());
            bool close = true;
            for (std::uint64_t i = 0; i < n; ++i) {
                // Half of the place that two mantissa bits leave to the largest of the block.
                const float reach = std::ldexp(1.0F, scales[i / 32] - 127 + 16);
                close = close && std::abs(values[i] - x[i]) <= reach;
            }
            CHECK(close);
        }
    }
}

TEST(one_eight_bit_float_is_as_many) {
    const std::vector<float> x = floats_of_all_kinds();
    for (const Minifloat format : {Minifloat::e4m3, Minifloat::e5m2}) {
        const gradwire::MinifloatCode code(format);
        std::vector<std::uint8_t> codes(x.size());
        gradwire::to_minifloat(x.data(), x.size(), format, codes.data());
        std::vector<float> values(x.size());
        gradwire::from_minifloat(codes.data(), x.size(), format, values.data());
        bool same = true;
        for (std::uint64_t i = 0; i < x.size(); ++i) {
            same = same && byte(code.encode_any(x[i])) == codes[i];
            same = same && same_float(code.decode(codes[i]), values[i]);
        }
        CHECK(same);
    }
}

// Eight elements: a byte of every plane.
bool one_is_as_eight(const float* x, Minifloat format) {
    const gradwire::MinifloatCode code(format);
    std::uint8_t scale = 0;
    std::uint8_t planes[8] = {};
    float values[8];
    gradwire::quantize_mx(x, 8, format, &scale, planes);
    gradwire::dequantize_mx(planes, &scale, 8, format, values);
    std::uint32_t most = 0;
    for (unsigned i = 0; i < 8; ++i) {
        most = std::max(most, gradwire::magnitude(x[i]));
    }
    bool same = scale == gradwire::mx_scale(most, gradwire::format_of(format).largest_exponent);
    for (unsigned i = 0; i < 8; ++i) {
        std::uint32_t found = 0;
        for (unsigned bit = 0; bit < gradwire::minifloat_bits(format); ++bit) {
            found |= (std::uint32_t{planes[bit]} >> i & 1U) << bit;
        }
        const bool finite = scale != gradwire::kNanScale;
        same = same && found == (finite ? code.encode(x[i] * gradwire::mx_down(scale)) : 0);
        same = same && same_float(code.decode(found) * gradwire::mx_up(scale), values[i]);
    }
    return same;
}

TEST(one_mx_element_is_as_many) {
    const std::vector<float> x = floats_of_all_kinds();
    for (const Minifloat format : kFormats) {
        bool same = true;
        for (std::uint64_t i = 0; i + 8 <= x.size(); i += 3) {
            same = same && one_is_as_eight(x.data() + i, format);
        }
        CHECK(same);
    }
}
