// Arrays that end inside of 16 lanes, through a copy of what is there.
#pragma once

#include <cstdint>
#include <cstring>

#include "gradwire/isa.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// The first `count` < 16 elements, and zeros.
template <typename T>
GRADWIRE_SIMD auto load_partial(const T* p, std::uint64_t count) noexcept {
    alignas(64) T lanes[kLanes] = {};
    std::memcpy(lanes, p, count * sizeof(T));
    return load(lanes);
}

template <typename T, typename Lanes>
GRADWIRE_SIMD void store_partial(T* p, std::uint64_t count, Lanes x) noexcept {
    alignas(64) T lanes[kLanes];
    store(lanes, x);
    std::memcpy(p, lanes, count * sizeof(T));
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
