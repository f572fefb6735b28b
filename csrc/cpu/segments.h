// Blocks share scales, chunks share bit planes, and neither needs to be a multiple of the other.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradwire/isa.h"
#include "planes.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Cuts [0, n) where a block or a chunk ends and calls, in order,
//   steps.begin_block(begin, size), steps.begin_chunk(begin, size)  where one begins,
//   steps.segment(begin, size)                                      at most 512 elements,
//   steps.end_chunk()                                               where one ends.
// Block 0 is one block of everything; the others are multiples of 16, and so is every `begin`.
template <typename Steps>
GRADWIRE_SIMD void for_each_segment(std::uint64_t n, std::uint64_t block, Steps& steps) noexcept {
    std::uint64_t block_end = 0;
    std::uint64_t chunk_end = 0;
    for (std::uint64_t begin = 0; begin < n;) {
        if (begin == block_end) {
            block_end = block == 0 ? n : std::min(n, begin + block);
            steps.begin_block(begin, block_end - begin);
        }
        if (begin == chunk_end) {
            chunk_end = std::min(n, begin + kChunk);
            steps.begin_chunk(begin, chunk_end - begin);
        }
        const std::uint64_t end = std::min(block_end, chunk_end);
        steps.segment(begin, end - begin);
        begin = end;
        if (begin == chunk_end) {
            steps.end_chunk();
        }
    }
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
