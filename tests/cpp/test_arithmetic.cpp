#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/arithmetic.h"
#include "gradwire/scatter.h"

using gradwire::bfloat16;
using gradwire::Status;

namespace {

constexpr std::uint16_t kOne = 0x3F80;  // as bfloat16
constexpr std::uint16_t kTwo = 0x4000;

}  // namespace

TEST(arithmetic_stays_inside_arrays_of_any_size) {
    for (std::uint64_t n = 0; n < 50; ++n) {
        const std::vector<float> ones(n, 1.0F);
        std::vector<float> x(n, 2.0F);
        gradwire::add(x.data(), ones.data(), n, x.data());
        gradwire::scale(x.data(), 0.5, n, x.data());
        gradwire::scale_add(ones.data(), 2.0, n, x.data());
        CHECK((x == std::vector<float>(n, 3.5F)));
    }
}

TEST(arithmetic_of_mixed_types) {
    for (std::uint64_t n = 0; n < 50; ++n) {
        const std::vector<bfloat16> ones(n, bfloat16{kOne});
        std::vector<bfloat16> half(n, bfloat16{0});
        std::vector<float> single(n, 2.0F);
        gradwire::add(ones.data(), ones.data(), n, half.data());
        gradwire::add(single.data(), ones.data(), n, single.data());
        gradwire::scale_add(half.data(), 0.5, n, single.data());
        CHECK((single == std::vector<float>(n, 4.0F)));
        for (const bfloat16 value : half) {
            CHECK(value.bits == kTwo);
        }
    }
}

TEST(scatter_add_of_a_16_bit_type_of_any_count) {
    for (std::uint32_t count = 0; count < 40; ++count) {
        std::vector<std::uint32_t> indices(count);
        for (std::uint32_t i = 0; i < count; ++i) {
            indices[i] = 2 * i;
        }
        const std::vector<bfloat16> ones(count, bfloat16{kOne});
        std::vector<bfloat16> x(2 * count, bfloat16{kOne});
        CHECK(gradwire::scatter_add(x.data(), x.size(), indices.data(), ones.data(), count) ==
              Status::ok);
        for (std::uint32_t i = 0; i < 2 * count; ++i) {
            CHECK(x[i].bits == (i % 2 == 0 ? kTwo : kOne));
        }
    }
}
