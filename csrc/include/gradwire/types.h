// The 16-bit floating-point types, as the bits they are stored in. Arithmetic is done in float32,
// which holds each of their values exactly; a NaN of float16 becomes quiet, one of bfloat16 is
// taken bit for bit.
//
// Operations that only read a vector take double too: an element is rounded to float32 as it is
// read, to nearest, ties to even; beyond float32's range it becomes infinity, and NaN stays NaN,
// made quiet, its sign and leading payload bits kept.
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
