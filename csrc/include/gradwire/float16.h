// float32 <-> float16, with the bits of half.h whatever the floating-point environment.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Round to nearest even; too large becomes infinity; NaN stays NaN (made quiet, sign and leading
// payload bits kept). 6 bytes per element.
void to_float16(const float* x, std::uint64_t n, float16* out) noexcept;

// Exact; NaN is made quiet. 6 bytes per element.
void from_float16(const float16* x, std::uint64_t n, float* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
