// Dense arithmetic that every rank has to do in the same way: denormals are kept and results
// rounded to nearest whatever the thread's modes are. Computed in float32; stored as the output's
// type, rounded to nearest even. `out` may be an input of its own type, as a whole; any other
// overlap is an error. Deterministic, but the payload of the sum of two NaNs is not specified.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Types: float, bfloat16 or float16.

// out = a + b. All of one type; or a is of `out`'s type, float, and b of any; or `out` is float and
// both others of one type. 12 bytes per element for float.
template <typename A, typename B, typename Out>
void add(const A* a, const B* b, std::uint64_t n, Out* out) noexcept;

// out = x * float(factor). Out is T or float. 8 bytes per element for float.
template <typename T, typename Out>
void scale(const T* x, double factor, std::uint64_t n, Out* out) noexcept;

// out = out + x * float(factor): the product is rounded to float32 first. Out is T or float.
// 12 bytes per element for float.
template <typename T, typename Out>
void scale_add(const T* x, double factor, std::uint64_t n, Out* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
