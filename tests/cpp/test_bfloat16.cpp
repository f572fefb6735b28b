#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/bfloat16.h"
#include "gradwire/magnitude.h"

namespace {

std::uint16_t rounded(std::uint32_t bits) {
    const float value = gradwire::bits_float(bits);
    std::uint16_t result = 0;
    gradwire::to_bfloat16(&value, 1, &result);
    return result;
}

}  // namespace

TEST(bfloat16_rounds_to_nearest_even) {
    CHECK(rounded(0x3F808000U) == 0x3F80U);
    CHECK(rounded(0x3F818000U) == 0x3F82U);
    CHECK(rounded(0x7F7FFFFFU) == 0x7F80U);
    CHECK(rounded(0xFF800000U) == 0xFF80U);
    CHECK(rounded(0x7F800001U) == 0x7FC0U);
}

TEST(bfloat16_round_trip_is_exact) {
    std::vector<std::uint16_t> bits(1U << 16);
    for (std::size_t i = 0; i < bits.size(); ++i) {
        bits[i] = static_cast<std::uint16_t>(i);
    }
    std::vector<float> values(bits.size());
    std::vector<std::uint16_t> again(bits.size());
    gradwire::from_bfloat16(bits.data(), bits.size(), values.data());
    gradwire::to_bfloat16(values.data(), values.size(), again.data());
    for (std::size_t i = 0; i < bits.size(); ++i) {
        const bool nan = (bits[i] & 0x7FFFU) > 0x7F80U;
        CHECK(again[i] == (nan ? (bits[i] | 0x40U) : bits[i]));
    }
}
