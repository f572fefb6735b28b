// Vectors in blocks that share a scale.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradwire/isa.h"
#include "parallel.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Calls work(number, begin, size) for each block; of the one of block 0, for its parts.
template <typename Work>
void for_each_block(std::uint64_t n, std::uint64_t block, Work work) noexcept {
    in_parallel(n, block == 0 ? kLanes : block, [=](std::uint64_t begin, std::uint64_t end) {
        const std::uint64_t length = block == 0 ? end - begin : block;
        std::uint64_t number = block == 0 ? 0 : begin / block;
        for (; begin < end; begin += length) {
            work(number++, begin, std::min(length, end - begin));
        }
    });
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
