// Sixteen lanes at a time, the same on every instruction set: one AVX-512 register, two AVX2
// registers, or arrays that the compiler turns into what it has. As the number of lanes never
// changes, neither do the results.
//
// A name means the same in all three: see simd_generic.h for the plainest definition of each.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/types.h"

#if defined(__SANITIZE_ADDRESS__)  // with every lane checked in every place, compiling takes
                                   // minutes
#define GRADWIRE_SIMD inline
#else
#define GRADWIRE_SIMD inline __attribute__((always_inline))
#endif

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kLanes = 16;
using Mask = std::uint16_t;  // bit i: lane i

// The mask of the first `count` lanes, count <= 16.
GRADWIRE_SIMD Mask first_lanes(std::uint64_t count) noexcept {
    return static_cast<Mask>((std::uint32_t{1} << count) - 1);
}

GRADWIRE_SIMD std::uint64_t count_lanes(Mask mask) noexcept {
    return static_cast<std::uint64_t>(__builtin_popcount(mask));
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "simd_avx512.h"  // IWYU pragma: export
#elif defined(__AVX2__)
#include "simd_avx2.h"  // IWYU pragma: export
#else
#include "simd_generic.h"  // IWYU pragma: export
#endif

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Written vectors of at least this many elements go past the caches, which they would only flood.
constexpr std::uint64_t kStreamed = std::uint64_t{1} << 22;

// The first `count` < 16 elements; the other lanes are zero. Nothing else is read.
template <typename T>
GRADWIRE_SIMD Floats load_first(const T* p, std::uint64_t count) noexcept {
    alignas(64) T first[kLanes] = {};
    __builtin_memcpy(first, p, count * sizeof(T));
    return load(first);
}

// The first `count` < 16 lanes. Nothing else is written.
template <typename T>
GRADWIRE_SIMD void store_first(T* p, std::uint64_t count, Floats x) noexcept {
    alignas(64) T all[kLanes];
    store(all, x);
    __builtin_memcpy(p, all, count * sizeof(T));
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
