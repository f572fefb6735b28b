// The table of gradwire/dynamic_table.h, sixteen lanes at a time.
#pragma once

#include <cstdint>

#include "gradwire/dynamic_table.h"
#include "gradwire/isa.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

GRADWIRE_SIMD Words place_of(Floats t) noexcept {
    const Words bits = as_words(t);
    const Words size =
        smaller(larger(bits & words(kMagnitudeMask), words(kLeastPlaced)), words(kMostPlaced));
    const Words negative = words(0) - shift_right<31>(bits);  // all bits or none
    return ((size - words(kLeastPlaced)) ^ negative) + words(kHalf);
}

// The codes of t in [-1, 1].
GRADWIRE_SIMD Words dynamic_codes(Floats t) noexcept {
    const Words place = place_of(t);
    const Words word = look_up(kDynamicCells.words, shift_right<kCellBits>(place));
    return shift_right<kCellBits>(word + (place & words(kCellMask)));
}

// Of codes below 256.
GRADWIRE_SIMD Floats dynamic_numbers(Words codes) noexcept {
    return look_up(kDynamicTable.numbers, codes);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
