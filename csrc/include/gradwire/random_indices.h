// A random subset of positions that every rank can draw for itself.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct RandomKey {
    std::uint32_t seed;
    std::uint32_t key;  // fnv1a32 of the tensor's name
    std::uint32_t step;
};

// Words of zeroed bitmap that random_indices needs: one bit per position.
std::uint64_t random_indices_words(std::uint64_t n) noexcept;

// k distinct positions below n, sorted. Philox4x32-10 with key (seed, key) and counter
// (block low, block high, step, 0); a block gives two 64-bit draws u, low word first, and the
// position (u * n) >> 64. Draws are taken in order and repeats skipped until min(k, n - k)
// positions are marked; if k > n - k the answer is what is not marked. Needs k <= n < 2^32.
void random_indices(std::uint64_t n, std::uint64_t k, RandomKey random, std::uint64_t* bitmap,
                    std::uint32_t* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
