// float32 <-> bfloat16 by integer arithmetic: independent of the floating-point environment.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Round to nearest even; too large becomes infinity; NaN stays NaN (made quiet, sign and leading
// payload bits kept). 6 bytes per element.
void to_bfloat16(const float* x, std::uint64_t n, std::uint16_t* out) noexcept;

// Exact. 6 bytes per element.
void from_bfloat16(const std::uint16_t* bits, std::uint64_t n, float* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
