// A random subset of positions that every rank can draw for itself.
#pragma once

#include <array>
#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/philox.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct RandomKey {
    std::uint32_t seed;
    std::uint32_t key;  // fnv1a32 of the tensor's name
    std::uint32_t step;
};

// Words of zeroed bitmap that random_indices needs (on a GPU it may be anything): one bit per
// position.
inline std::uint64_t random_indices_words(std::uint64_t n) noexcept {
    return (n + 63) / 64;
}

// k distinct positions below n, sorted. Philox4x32-10 with key (seed, key) and counter
// (block low, block high, step, 0); a block gives two 64-bit draws u, low word first, and the
// position (u * n) >> 64. Draws are taken in order and repeats skipped until min(k, n - k)
// positions are marked; if k > n - k the answer is what is not marked. Needs k <= n < 2^32.
void random_indices(std::uint64_t n, std::uint64_t k, RandomKey random, std::uint64_t* bitmap,
                    std::uint32_t* out) noexcept;

// The positions of one block's draws: (draw * n) >> 64 for n < 2^32, in 64-bit arithmetic.
GRADWIRE_BOTH inline std::array<std::uint64_t, 2> drawn_positions(RandomKey random,
                                                                  std::uint64_t block,
                                                                  std::uint64_t n) noexcept {
    const auto words = philox4x32({static_cast<std::uint32_t>(block),
                                   static_cast<std::uint32_t>(block >> 32), random.step, 0},
                                  {random.seed, random.key});
    return {(words[1] * n + ((words[0] * n) >> 32)) >> 32,
            (words[3] * n + ((words[2] * n) >> 32)) >> 32};
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
