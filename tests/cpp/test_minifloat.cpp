#include <cmath>
#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/minifloat.h"
#include "gradwire/quantize.h"

using gradwire::Minifloat;

namespace {

constexpr Minifloat kFormats[] = {Minifloat::e4m3, Minifloat::e5m2, Minifloat::e3m2,
                                  Minifloat::e2m3, Minifloat::e2m1, Minifloat::int8};

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
