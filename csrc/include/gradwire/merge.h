// Set operations on sorted indices. All index arrays must be strictly increasing; this is checked.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/select.h"
#include "gradwire/status.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Chunk {
    const std::uint32_t* indices;
    const float* values;
    std::uint64_t count;
};

// Union of the chunks, sorted. Values of one index are added in chunk order, starting with the
// first chunk that has it (not with 0); sums that are zero stay. `cursors` is workspace: one per
// chunk. capacity_exceeded: `out` is full and there is more. Deterministic: additions have one
// order. 16 bytes per entry; entries of `out` beyond `written` are scratch.
Status merge(const Chunk* chunks, std::uint64_t chunk_count, std::uint64_t* cursors, Entries out,
             std::uint64_t* written) noexcept;

// What two sets have in common, and where in the first one it is; room for the smaller one each.
struct Common {
    std::uint32_t* elements;
    std::uint32_t* positions;
};

// Common elements of a and b, sorted, and their positions in a.
Status intersect(const std::uint32_t* a, std::uint64_t a_count, const std::uint32_t* b,
                 std::uint64_t b_count, Common out, std::uint64_t* written) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
