// The fast Walsh-Hadamard transform, plain and with random signs.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kMaxHadamardBlock = std::uint64_t{1} << 24;

enum class Signs : std::uint32_t {
    none,
    before,  // out = H (sign * x)
    after,   // out = sign * (H x), which undoes `before`
};

// Names the signs: bit (e & 31) of word ((e >> 5) & 3) of Philox4x32-10 with key (seed, key) and
// counter (e >> 7 low, e >> 7 high, step, stream) is set where element e is multiplied by -1.
struct SignStream {
    std::uint32_t seed;
    std::uint32_t key;
    std::uint32_t step;
    std::uint32_t stream;  // rank | phase << 31
};

// Transforms each `block` elements of x: a power of two from 2 to kMaxHadamardBlock of which n is a
// multiple. Rows in natural (Sylvester) order: H[i][j] = (-1)^popcount(i & j) / sqrt(block). The
// stages add and subtract elements 1, 2, 4, ... block / 2 apart, in this order, and the results are
// multiplied by float32(1 / sqrt(block)) once, after the last. out may be x. About
// 8 bytes per element for blocks up to 4096 and 8 more for each further factor of 8 that does not
// fit into the caches.
void hadamard(const float* x, std::uint64_t n, std::uint64_t block, Signs signs, SignStream stream,
              float* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
