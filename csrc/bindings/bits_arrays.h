// Arguments of the packing operations.
#pragma once

#include <cstdint>
#include <string>

#include "arrays.h"
#include "gradwire/bits.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

inline unsigned checked_bits(const python::Operation& operation, int bits) {
    if (bits < 1 || bits > static_cast<int>(kMaxCodeBits)) {
        operation.fail("bits must be in [1, 8], got " + std::to_string(bits));
    }
    return static_cast<unsigned>(bits);
}

// WireError unless a message of n codes has so many bytes.
inline void require_size(const python::Operation& operation, const python::Array& data,
                         std::uint64_t size, std::uint64_t n) {
    if (data.size != size) {
        operation.fail(std::to_string(n) + " codes take " + std::to_string(size) + " bytes, got " +
                           std::to_string(data.size),
                       "WireError");
    }
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
