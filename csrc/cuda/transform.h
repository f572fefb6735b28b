#pragma once

#include <cstdint>

#include "gradwire/transform.h"

namespace gradwire {
inline namespace cuda {

// hadamard with the step of the signs in the device's memory, unless it is null: what has been
// recorded can be repeated with other signs.
void enqueue_hadamard(const float* x, std::uint64_t n, std::uint64_t block, Signs signs,
                      SignStream stream, const std::uint32_t* step, float* out) noexcept;

}  // namespace cuda
}  // namespace gradwire
