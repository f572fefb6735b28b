// The property that all sparse operations rely on, checked without branches in the loop.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

inline bool strictly_increasing(const std::uint32_t* indices, std::uint64_t count) noexcept {
    std::uint32_t violations = 0;
    for (std::uint64_t i = 1; i < count; ++i) {
        violations |= static_cast<std::uint32_t>(indices[i] <= indices[i - 1]);
    }
    return violations == 0;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
