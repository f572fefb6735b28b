#pragma once

#include <cstdint>

#include "gradwire/natural.h"

namespace gradwire {
inline namespace cuda {

// As quantize_natural, but nothing waits: *not_finite, in device memory, becomes 0 if all of x is
// finite. The step is read from device memory when the work is done, unless it is null.
template <typename T>
void enqueue_quantize_natural(const T* x, std::uint64_t n, RandomStream random,
                              const std::uint32_t* step, std::uint8_t* codes,
                              std::uint32_t* not_finite) noexcept;

}  // namespace cuda
}  // namespace gradwire
