// Sixty-four bytes at a time, and one bit of each as a word: what bit planes are made of. The same
// on every instruction set; see bytes_generic.h for the plainest definition of each name.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kByteLanes = 64;
using ByteMask = std::uint64_t;  // bit i: byte i

}  // namespace GRADWIRE_ISA
}  // namespace gradwire

#if defined(__AVX512F__) && defined(__AVX512BW__)
#include "bytes_avx512.h"  // IWYU pragma: export
#elif defined(__AVX2__)
#include "bytes_avx2.h"  // IWYU pragma: export
#else
#include "bytes_generic.h"  // IWYU pragma: export
#endif
