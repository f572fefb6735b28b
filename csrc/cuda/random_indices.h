// The queued form of random_indices (see sparse.h).
#pragma once

#include <cstdint>

#include "gradwire/random_indices.h"

namespace gradwire {
inline namespace cuda {

std::uint64_t random_indices_workspace(std::uint64_t n) noexcept;

// As random_indices, but the bitmap need not be zeroed. step: in device memory, instead of
// random.step, or null. The workspace is aligned to 16.
void enqueue_random_indices(std::uint64_t n, std::uint64_t k, RandomKey random,
                            const std::uint32_t* step, std::uint64_t* bitmap, void* workspace,
                            std::uint32_t* out) noexcept;

}  // namespace cuda
}  // namespace gradwire
