// Statistics of magnitudes (see magnitude.h): one read of x each unless stated otherwise.
//
// T is float, bfloat16, float16 or double (see types.h).
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/select.h"
#include "gradwire/status.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// True if no element is infinite or NaN. Stops at the first tile that has one.
template <typename T>
bool finite_check(const T* x, std::uint64_t n) noexcept;

// The largest magnitude; 0 for none, NaN if there is one.
template <typename T>
float absmax(const T* x, std::uint64_t n) noexcept;

// The sum of |x| (order 1) or the square root of the sum of x^2 (order 2) in float64, exact
// products, in one fixed order: in tiles of 4096 elements lane l adds the elements l, l + 16, ...
// of the tile; the lanes of a tile, then the tiles, are added pairwise: two neighbours at a time,
// as a binary counter carries.
template <typename T>
void norm(const T* x, std::uint64_t n, unsigned order, double* result) noexcept;

// counts[b], b < 2^bits, becomes the number of non-zero x with (m >> (shift + bits)) == prefix and
// ((m >> shift) & (2^bits - 1)) == b, m being the magnitude. Needs shift + bits <= 31.
template <typename T>
void histogram(const T* x, std::uint64_t n, unsigned shift, unsigned bits, std::uint32_t prefix,
               std::uint64_t* counts) noexcept;

// Bytes of workspace that kth_magnitude needs for n elements.
std::uint64_t kth_magnitude_workspace(std::uint64_t n) noexcept;

// The k-th largest magnitude (k >= 1), exact; 0 when x has fewer than k non-zeros. Reads x twice.
template <typename T>
Status kth_magnitude(const T* x, std::uint64_t n, std::uint64_t k, Workspace workspace,
                     float* result) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
