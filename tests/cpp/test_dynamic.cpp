#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "gradwire/dynamic.h"
#include "gradwire/dynamic_table.h"

using gradwire::bfloat16;
using gradwire::float16;

namespace {

constexpr std::uint64_t kSizes[] = {0, 1, 7, 15, 16, 17, 100, 511, 512, 513, 1030, 2000};
constexpr std::uint64_t kBlocks[] = {0, 16, 48, 512, 4096};

// Vectors of exact size: the address sanitizer sees any step outside.
struct Coded {
    std::vector<float> scales;
    std::vector<std::uint8_t> codes;

    Coded(std::uint64_t n, std::uint64_t block)
        : scales(block == 0 ? (n != 0 ? 1 : 0) : (n + block - 1) / block), codes(n) {}
};

std::vector<float> wave(std::uint64_t n) {
    std::vector<float> x(n);
    for (std::uint64_t i = 0; i < n; ++i) {
        x[i] = std::sin(static_cast<float>(i)) * static_cast<float>(i % 7);
    }
    return x;
}

template <typename T>
void round_trip_as(const Coded& from, std::uint64_t block) {
    std::vector<T> values(from.codes.size());
    Coded again(values.size(), block);
    gradwire::dequantize_dynamic(from.codes.data(), from.scales.data(), values.size(), block,
                                 values.data());
    gradwire::quantize_dynamic(values.data(), values.size(), block, again.scales.data(),
                               again.codes.data());
}

void round_trip(std::uint64_t n, std::uint64_t block) {
    const std::vector<float> x = wave(n);
    Coded coded(n, block);
    gradwire::quantize_dynamic(x.data(), n, block, coded.scales.data(), coded.codes.data());
    std::vector<float> values(n);
    gradwire::dequantize_dynamic(coded.codes.data(), coded.scales.data(), n, block, values.data());

    const std::vector<float> residual(n, 0.0F);
    const std::vector<double> gradient(x.begin(), x.end());
    std::vector<float> error = x;
    Coded same(n, block);
    gradwire::compensate_quantize_dynamic(error.data(), residual.data(), n, block, error.data(),
                                          same.scales.data(), same.codes.data());
    CHECK(coded.codes == same.codes && coded.scales == same.scales);
    bool conserved = true;
    for (std::uint64_t i = 0; i < n; ++i) {
        conserved = conserved && error[i] == x[i] - values[i];
    }
    CHECK(conserved);
    gradwire::compensate_quantize_dynamic(gradient.data(), residual.data(), n, block, error.data(),
                                          same.scales.data(), same.codes.data());
    CHECK(coded.codes == same.codes && coded.scales == same.scales);
    gradwire::dequantize_dynamic_add(coded.codes.data(), coded.scales.data(), n, block,
                                     error.data());
    round_trip_as<bfloat16>(coded, block);
    round_trip_as<float16>(coded, block);
}

}  // namespace

TEST(dynamic_codes_stay_inside_their_buffers) {
    for (const std::uint64_t n : kSizes) {
        for (const std::uint64_t block : kBlocks) {
            round_trip(n, block);
        }
    }
}

TEST(every_dynamic_code_survives_the_round_trip) {
    Coded coded(256, 0);
    Coded again(256, 0);
    coded.scales[0] = 3.0F;
    for (std::uint64_t i = 0; i < 256; ++i) {
        coded.codes[i] = static_cast<std::uint8_t>(i);
    }
    std::vector<float> values(256);
    gradwire::dequantize_dynamic(coded.codes.data(), coded.scales.data(), 256, 0, values.data());
    gradwire::quantize_dynamic(values.data(), 256, 0, again.scales.data(), again.codes.data());
    CHECK(again.codes == coded.codes && again.scales == coded.scales);
    bool rising = values[127] == 0.0F && values[255] == 3.0F;
    for (std::uint64_t i = 1; i < 256; ++i) {
        rising = rising && values[i - 1] < values[i];
    }
    CHECK(rising);
}

TEST(any_dynamic_scales_decode) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const std::vector<float> scales{-1.0F, kInfinity, -kInfinity, std::nanf(""), 1e-45F, 3e38F};
    const std::vector<std::uint8_t> codes(96, 0xFF);
    std::vector<float> out(96);
    gradwire::dequantize_dynamic(codes.data(), scales.data(), 96, 16, out.data());
    CHECK(out[0] == -1.0F && out[16] == kInfinity && std::isnan(out[50]) && out[95] == 3e38F);
    gradwire::dequantize_dynamic_add(codes.data(), scales.data(), 96, 16, out.data());
    CHECK(out[0] == -2.0F && std::isnan(out[50]));
}

TEST(dynamic_codes_of_hostile_blocks) {
    constexpr float kLeast = std::numeric_limits<float>::denorm_min();
    constexpr float kMost = std::numeric_limits<float>::max();
    const std::vector<float> x{0.0F, -0.0F, kLeast, -kLeast, kMost, -kMost, std::nanf(""), 1.0F};
    const std::uint8_t expected[] = {127, 127, 255, 0, 255, 0, 127, 127};
    for (std::uint64_t i = 0; i < x.size(); i += 2) {
        Coded coded(2, 0);
        gradwire::quantize_dynamic(x.data() + i, 2, 0, coded.scales.data(), coded.codes.data());
        CHECK(coded.codes[0] == expected[i] && coded.codes[1] == expected[i + 1]);
    }
}

TEST(one_dynamic_code_is_as_many) {
    std::vector<float> x{1.0F, -1.0F};
    for (std::uint32_t size = 100U << 23; size < 127U << 23; size += 12347) {
        x.push_back(gradwire::bits_float(size));
        x.push_back(-gradwire::bits_float(size));
    }
    Coded coded(x.size(), 0);
    gradwire::quantize_dynamic(x.data(), x.size(), 0, coded.scales.data(), coded.codes.data());
    const gradwire::DynamicCells cells = gradwire::make_dynamic_cells();
    bool same = coded.scales[0] == 1.0F;
    for (std::uint64_t i = 0; i < x.size(); ++i) {
        same = same && gradwire::dynamic_code(x[i], cells.words) == coded.codes[i];
    }
    CHECK(same);
}
