#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/float16.h"
#include "gradwire/magnitude.h"

namespace {

std::uint16_t rounded(std::uint32_t bits) {
    const float value = gradwire::bits_float(bits);
    gradwire::float16 result{};
    gradwire::to_float16(&value, 1, &result);
    return result.bits;
}

}  // namespace

TEST(float16_rounds_to_nearest_even) {
    CHECK(rounded(0x3F801000U) == 0x3C00U);  // half way, even below
    CHECK(rounded(0x3F803000U) == 0x3C02U);  // half way, even above
    CHECK(rounded(0x477FEFFFU) == 0x7BFFU);  // below 65520
    CHECK(rounded(0x477FF000U) == 0x7C00U);  // 65520 becomes infinity
    CHECK(rounded(0xFF800000U) == 0xFC00U);
    CHECK(rounded(0x7F800001U) == 0x7E00U);
    CHECK(rounded(0x33000000U) == 0x0000U);  // half of the smallest denormal
    CHECK(rounded(0x33000001U) == 0x0001U);
    CHECK(rounded(0x80000001U) == 0x8000U);
}

TEST(float16_round_trip_is_exact) {
    // One more than whole vectors, so that one element takes the scalar way.
    std::vector<gradwire::float16> bits((1U << 16) + 1);
    for (std::size_t i = 0; i < bits.size(); ++i) {
        bits[i].bits = static_cast<std::uint16_t>(i);
    }
    std::vector<float> values(bits.size());
    std::vector<gradwire::float16> again(bits.size());
    gradwire::from_float16(bits.data(), bits.size(), values.data());
    gradwire::to_float16(values.data(), values.size(), again.data());
    for (std::size_t i = 0; i < bits.size(); ++i) {
        const bool nan = (bits[i].bits & 0x7FFFU) > 0x7C00U;
        CHECK(again[i].bits == (nan ? (bits[i].bits | 0x200U) : bits[i].bits));
    }
}
