#pragma once

#include <cstdint>

#include "gradwire/random_bits.h"

namespace gradwire {
inline namespace cuda {

// As random_bits; the step is read from device memory when the work is done, unless it is null.
void enqueue_random_bits(RandomStream stream, const std::uint32_t* step, std::uint64_t n,
                         std::uint16_t* out) noexcept;

}  // namespace cuda
}  // namespace gradwire
