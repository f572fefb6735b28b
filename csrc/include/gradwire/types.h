// The 16-bit floating-point types, as the bits they are stored in. Arithmetic is done in float32,
// which holds each of their values exactly.
#pragma once

#include <cstdint>

namespace gradwire {

struct bfloat16 {
    std::uint16_t bits;
};

struct float16 {
    std::uint16_t bits;
};

}  // namespace gradwire
