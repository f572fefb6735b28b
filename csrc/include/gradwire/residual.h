// What error feedback does to arrays besides selecting (select.h fuses the two).
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// acc = residual + gradient, in this operand order (it decides which NaN survives). acc may be
// gradient or residual itself. 12 bytes per element.
void compensate(const float* gradient, const float* residual, std::uint64_t n, float* acc) noexcept;

// x[indices] = +0. Indices must be strictly increasing and < n; checked before anything is written.
// T: float, double, bfloat16 or float16.
template <typename T>
Status clear(T* x, std::uint64_t n, const std::uint32_t* indices, std::uint64_t count) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
