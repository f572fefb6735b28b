// Sparse entries into dense arrays. Indices must be strictly increasing and < n; this is checked
// before anything is written.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// not_increasing or index_out_of_range if the indices are not what sparse operations need.
Status check_indices(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n) noexcept;

// T: float, double, bfloat16 or float16.

// out[indices] = values, bit for bit.
template <typename T>
Status scatter(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
               std::uint64_t count) noexcept;

// out[indices] = out[indices] + values; the 16-bit types are added in float32 and rounded to
// nearest even.
template <typename T>
Status scatter_add(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
                   std::uint64_t count) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
