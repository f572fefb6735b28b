#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "gradwire/natural.h"
#include "gradwire/philox.h"
#include "gradwire/quantize.h"
#include "gradwire/random_bits.h"
#include "gradwire/sign.h"

using gradwire::bfloat16;
using gradwire::Encoding;
using gradwire::float16;
using gradwire::Grid;
using gradwire::RandomStream;
using gradwire::Scale;

namespace {

// Vectors of exact size: the address sanitizer sees any step outside.
constexpr std::uint64_t kSizes[] = {0, 1, 7, 15, 16, 17, 100, 511, 512, 513, 1030, 2000};
constexpr std::uint64_t kBlocks[] = {0, 16, 48, 512, 4096};

std::vector<float> wave(std::uint64_t n) {
    std::vector<float> x(n);
    for (std::uint64_t i = 0; i < n; ++i) {
        x[i] = std::sin(static_cast<float>(i)) * static_cast<float>(i % 7);
    }
    return x;
}

void round_trip(std::uint64_t n, const Encoding& how) {
    const Grid& grid = how.grid;
    const std::vector<float> x = wave(n);
    std::vector<float> scales(gradwire::scale_count(n, grid.block, grid.scale));
    std::vector<std::uint8_t> codes(gradwire::code_bytes(n, grid.bits));
    gradwire::quantize(x.data(), n, how, scales.data(), codes.data());
    std::vector<float> values(n);
    gradwire::dequantize(codes.data(), scales.data(), n, grid, values.data());

    std::vector<float> error = x;
    const std::vector<float> residual(n, 0.0F);
    std::vector<std::uint8_t> same(codes.size());
    gradwire::compensate_quantize(error.data(), residual.data(), n, how, error.data(),
                                  scales.data(), same.data());
    CHECK(codes == same);
    bool conserved = true;
    for (std::uint64_t i = 0; i < n; ++i) {
        conserved = conserved && error[i] == x[i] - values[i];
    }
    CHECK(conserved);
    gradwire::dequantize_add(codes.data(), scales.data(), n, grid, error.data());
    std::vector<bfloat16> brief(n);
    gradwire::dequantize(codes.data(), scales.data(), n, grid, brief.data());
    gradwire::quantize(brief.data(), n, how, scales.data(), codes.data());
    std::vector<float16> half(n);
    gradwire::dequantize(codes.data(), scales.data(), n, grid, half.data());
    gradwire::compensate_quantize(half.data(), residual.data(), n, how, error.data(), scales.data(),
                                  codes.data());
}

}  // namespace

TEST(random_bits_are_those_of_philox) {
    const RandomStream stream{1, 2, 3, 0x80000004U, (std::uint64_t{1} << 35) - 5};
    std::vector<std::uint16_t> bits(1000);
    gradwire::random_bits(stream, bits.size(), bits.data());
    bool same = true;
    for (std::uint64_t i = 0; i < bits.size(); ++i) {
        const std::uint64_t e = stream.first + i;
        const auto block =
            gradwire::philox4x32({static_cast<std::uint32_t>(e >> 3),
                                  static_cast<std::uint32_t>(e >> 35), 3, 0x80000004U},
                                 {1, 2});
        const std::uint32_t word = block[(e >> 1) & 3];
        same = same && bits[i] == ((e & 1) != 0 ? word >> 16 : word & 0xFFFFU);
    }
    CHECK(same);
}

TEST(quantisers_stay_inside_their_buffers) {
    for (const std::uint64_t n : kSizes) {
        for (const std::uint64_t block : kBlocks) {
            for (unsigned bits = 1; bits <= 8; ++bits) {
                for (const Scale scale : {Scale::absmax, Scale::l2, Scale::minmax}) {
                    if (bits == 1 && scale != Scale::minmax) {
                        continue;
                    }
                    const unsigned levels = (1U << (bits - 1)) - 1;
                    const Grid grid{bits, levels, block, scale};
                    round_trip(n, {grid, false, bits % 2 == 0, {1, 2, 3, 4, 5}});
                }
            }
        }
    }
}

TEST(any_scales_decode) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const std::vector<float> scales{-1.0F, kInfinity, -kInfinity, std::nanf(""), 1e-45F, 3e38F};
    const std::vector<std::uint8_t> codes(8 * 12, 0xFF);
    std::vector<float> out(96);
    gradwire::dequantize(codes.data(), scales.data(), 96, {8, 100, 16, Scale::absmax}, out.data());
    CHECK(std::isnan(out[50]));
    gradwire::dequantize(codes.data(), scales.data(), 48, {8, 0, 16, Scale::minmax}, out.data());
    gradwire::dequantize_sign_add(codes.data(), scales.data(), 96, 16, out.data());
    CHECK(std::isnan(out[50]));
}

TEST(signs_stay_inside_their_buffers) {
    for (const std::uint64_t n : kSizes) {
        for (const std::uint64_t block : kBlocks) {
            for (const bool given : {false, true}) {
                const std::vector<float> x = wave(n);
                const std::vector<float> residual(n, 0.0F);
                std::vector<float> scales(gradwire::scale_count(n, block, Scale::absmax), 2.0F);
                std::vector<std::uint8_t> codes((n + 7) / 8);
                std::vector<std::uint8_t> same(codes.size());
                std::vector<float> error = x;
                std::vector<float> values(n);
                gradwire::quantize_sign(x.data(), n, block, given, scales.data(), codes.data());
                gradwire::compensate_sign(error.data(), residual.data(), n, block, given,
                                          error.data(), scales.data(), same.data());
                CHECK(codes == same);
                gradwire::dequantize_sign(codes.data(), scales.data(), n, block, values.data());
                bool conserved = true;
                for (std::uint64_t i = 0; i < n; ++i) {
                    conserved = conserved && error[i] == x[i] - values[i];
                }
                CHECK(conserved);
            }
        }
    }
}

TEST(natural_codes_stay_inside_their_buffers) {
    for (const std::uint64_t n : kSizes) {
        const std::vector<float> x = wave(n);
        std::vector<std::uint8_t> codes(n);
        CHECK(gradwire::quantize_natural(x.data(), n, {1, 2, 3, 4, 5}, codes.data()));
        std::vector<float> values(n);
        gradwire::dequantize_natural(codes.data(), n, values.data());
        gradwire::dequantize_natural_add(codes.data(), n, values.data());
        bool close = true;
        for (std::uint64_t i = 0; i < n; ++i) {
            close = close && std::abs(values[i] / 2 - x[i]) <= std::abs(x[i]);
        }
        CHECK(close);
    }
}
