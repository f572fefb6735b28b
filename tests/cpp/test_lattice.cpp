#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "gradwire/lattice.h"
#include "gradwire/magnitude.h"
#include "gradwire/natural.h"
#include "gradwire/natural_code.h"
#include "gradwire/quantize.h"
#include "gradwire/random_bits.h"

using gradwire::Encoding;
using gradwire::Grid;
using gradwire::Scale;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kQuietNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kLargest = std::numeric_limits<float>::max();

// Ties between codes, both zeros, what lies outside any grid, denormals and what is not finite.
std::vector<float> hard_to_round() {
    std::vector<float> x{0.0F,      -0.0F,      1e-45F,    -1e-45F, 1e-30F, kLargest, -kLargest,
                         kInfinity, -kInfinity, kQuietNan, 1e-38F,  3.0F,   -3.0F};
    for (int i = -300; i <= 300; ++i) {
        x.push_back(static_cast<float>(i) * 0.5F);
        x.push_back(static_cast<float>(i) * 0x1p-110F);
    }
    return x;
}

bool same(float a, float b) {
    return gradwire::float_bits(a) == gradwire::float_bits(b) || (a != a && b != b);
}

// Whether the code of every element is the one that `quantize` finds with sixteen lanes, and its
// error the one of compensate_quantize.
bool agrees(const Grid& grid, const std::vector<float>& scales, bool stochastic) {
    const std::vector<float> x = hard_to_round();
    const Encoding how{grid, true, stochastic, {1, 2, 3, 4, 5}};
    std::vector<std::uint16_t> random(x.size());
    gradwire::random_bits(how.random, x.size(), random.data());
    std::vector<float> given = scales, error(x.size());
    std::vector<std::uint8_t> codes(gradwire::code_bytes(x.size(), grid.bits));
    const std::vector<float> residual(x.size(), -0.0F);
    gradwire::compensate_quantize(x.data(), residual.data(), x.size(), how, error.data(),
                                  given.data(), codes.data());
    const auto lattice = gradwire::lattice_of(grid, scales.data(), 0);
    bool all = true;
    for (std::uint64_t i = 0; i < x.size(); ++i) {
        const std::uint64_t chunk = i / gradwire::kChunk * gradwire::kChunk;
        const std::uint64_t size = std::min(x.size() - chunk, gradwire::kChunk);
        std::uint32_t code = 0;
        for (unsigned bit = 0; bit < grid.bits; ++bit) {
            const std::uint64_t byte =
                grid.bits * (chunk / 8) + bit * gradwire::plane_bytes(size) + (i - chunk) / 8;
            code |= (std::uint32_t{codes[byte]} >> (i % 8) & 1U) << bit;
        }
        const std::uint32_t mine = stochastic ? gradwire::stochastic_code(lattice, x[i], random[i])
                                              : gradwire::nearest_code(lattice, x[i]);
        all = all && mine == code && same(error[i], x[i] - gradwire::value_on(lattice, code));
    }
    return all;
}

}  // namespace

TEST(one_element_is_rounded_as_sixteen) {
    const float scales[] = {0.0F,     1e-45F,    1e-31F,    0.75F, 127.0F,
                            kLargest, kInfinity, kQuietNan, -2.0F, 0x1p-104F};
    for (const bool stochastic : {false, true}) {
        for (const float scale : scales) {
            for (unsigned bits = 2; bits <= 8; ++bits) {
                const Grid grid{bits, (1U << (bits - 1)) - 1, 0, Scale::absmax};
                CHECK(agrees(grid, {scale}, stochastic));
            }
            for (const float low : {-kLargest, -3.0F, -0.0F, 1e-45F, -kInfinity, kQuietNan}) {
                for (unsigned bits = 1; bits <= 8; ++bits) {
                    CHECK(agrees({bits, 0, 0, Scale::minmax}, {low, scale}, stochastic));
                }
            }
        }
    }
}

TEST(one_natural_code_is_that_of_sixteen) {
    const std::vector<float> x = hard_to_round();
    std::vector<std::uint16_t> random(x.size());
    gradwire::random_bits({1, 2, 3, 4, 5}, x.size(), random.data());
    std::vector<std::uint8_t> codes(x.size());
    gradwire::quantize_natural(x.data(), x.size(), {1, 2, 3, 4, 5}, codes.data());
    std::vector<float> values(x.size());
    gradwire::dequantize_natural(codes.data(), x.size(), values.data());
    bool all = true;
    for (std::uint64_t i = 0; i < x.size(); ++i) {
        all = all && gradwire::natural_code(x[i], random[i]) == codes[i] &&
              same(gradwire::natural_value(codes[i]), values[i]);
    }
    CHECK(all);
}
