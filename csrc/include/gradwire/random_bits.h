// Random bits that belong to the elements of a tensor: the same on every device, for any division
// of the tensor and any order of work.
//
// Element e uses the block of Philox4x32-10 (see philox.h) with key (seed, key) and counter
// (low word of e >> 3, high word of e >> 3, step, place): of its word (e >> 1) & 3, the low half
// for even e and the high half for odd e.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct RandomStream {
    std::uint32_t seed;
    std::uint32_t key;  // of the tensor: fnv1a32 of its name
    std::uint32_t step;
    std::uint32_t place;  // rank | phase << 31
    std::uint64_t first;  // the element that the first element of the arrays is

    // The stream of the arrays from element `begin` on.
    GRADWIRE_BOTH RandomStream from(std::uint64_t begin) const noexcept {
        return {seed, key, step, place, first + begin};
    }
};

// The 16 bits of n elements. 2 bytes per element.
void random_bits(RandomStream stream, std::uint64_t n, std::uint16_t* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
