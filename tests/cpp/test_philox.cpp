#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/philox.h"
#include "gradwire/random_indices.h"

using Sizes = std::vector<std::uint64_t>;

using gradwire::philox4x32;
using Block = std::array<std::uint32_t, 4>;

TEST(philox_known_answers) {
    CHECK((philox4x32({0, 0, 0, 0}, {0, 0}) ==
           Block{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U}));
    CHECK((philox4x32({0, 0, 0, 0}, {0, 0}, 7) ==
           Block{0x5f6fb709U, 0x0d893f64U, 0x4f121f81U, 0x4f730a48U}));
}

TEST(random_indices_stay_inside_their_buffers) {
    // Exact sizes: the address sanitizer sees any step outside.
    for (const std::uint64_t n : Sizes{1, 63, 64, 65, 1000}) {
        for (std::uint64_t k = 0; k <= n; k += 1 + n / 7) {
            std::vector<std::uint64_t> bitmap(gradwire::random_indices_words(n), 0);
            std::vector<std::uint32_t> out(k);
            gradwire::random_indices(n, k, {1, 2, 3}, bitmap.data(), out.data());
            CHECK(std::adjacent_find(out.begin(), out.end(), std::greater_equal<>()) == out.end());
            CHECK(out.empty() || out.back() < n);
        }
    }
}
