// Statistics of magnitudes (see magnitude.h): one read of x each, 4 bytes per element.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// True if no element is infinite or NaN. Stops at the first tile that has one.
bool finite_check(const float* x, std::uint64_t n) noexcept;

// counts[b], b < 2^bits, becomes the number of non-zero x with (m >> (shift + bits)) == prefix and
// ((m >> shift) & (2^bits - 1)) == b, m being the magnitude. Needs shift + bits <= 31.
void histogram(const float* x, std::uint64_t n, unsigned shift, unsigned bits, std::uint32_t prefix,
               std::uint64_t* counts) noexcept;

// Bytes of workspace that kth_magnitude needs.
std::uint64_t kth_magnitude_workspace() noexcept;

// The k-th largest magnitude (k >= 1), exact; 0 when x has fewer than k non-zeros. Reads x at most
// three times.
Status kth_magnitude(const float* x, std::uint64_t n, std::uint64_t k, void* workspace,
                     std::uint64_t workspace_bytes, float* result) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
