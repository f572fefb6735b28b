// Sparse entries into dense arrays. Indices must be strictly increasing and < n; this is checked
// before anything is written.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// not_increasing or index_out_of_range if the indices are not what sparse operations need.
Status check_indices(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n) noexcept;

// out[indices] = values, bit for bit.
Status scatter(float* out, std::uint64_t n, const std::uint32_t* indices, const float* values,
               std::uint64_t count) noexcept;

// out[indices] = out[indices] + values.
Status scatter_add(float* out, std::uint64_t n, const std::uint32_t* indices, const float* values,
                   std::uint64_t count) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
