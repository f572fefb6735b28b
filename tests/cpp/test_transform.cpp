#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/transform.h"

using gradwire::Signs;
using gradwire::SignStream;

namespace {

// Small integers, so that every result is exact for blocks that are powers of four.
std::vector<float> integers(std::uint64_t n) {
    std::vector<float> x(n);
    for (std::uint64_t i = 0; i < n; ++i) {
        x[i] = static_cast<float>(i * 7 % 13) - 6.0F;
    }
    return x;
}

constexpr SignStream kStream{1, 2, 3, 0x80000004U};

}  // namespace

TEST(hadamard_of_two_by_two) {
    const std::vector<float> x = {1, 2, 3, 4};
    std::vector<float> out(4);
    gradwire::hadamard(x.data(), 4, 4, Signs::none, kStream, out.data());
    CHECK((out == std::vector<float>{5, -1, -2, 0}));
}

TEST(hadamard_undoes_itself_in_arrays_of_any_number_of_blocks) {
    for (std::uint64_t block = 4; block <= 65536; block *= 4) {
        for (std::uint64_t blocks = 0; blocks <= (block < 1024 ? 35 : 3); ++blocks) {
            const std::vector<float> x = integers(block * blocks);
            std::vector<float> out(x.size());
            gradwire::hadamard(x.data(), x.size(), block, Signs::before, kStream, out.data());
            CHECK(x.empty() || out != x);
            gradwire::hadamard(out.data(), x.size(), block, Signs::after, kStream, out.data());
            CHECK(out == x);
        }
    }
}

TEST(hadamard_takes_no_elements) {
    gradwire::hadamard(nullptr, 0, 2, Signs::none, kStream, nullptr);
    gradwire::hadamard(nullptr, 0, gradwire::kMaxHadamardBlock, Signs::after, kStream, nullptr);
}
