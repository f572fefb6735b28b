// Where indices reach a position, found by a warp in steps of 32: five for 2^24 indices.
#pragma once

#include <cstdint>

#include "index_codecs.h"
#include "simt.h"

namespace gradwire {
inline namespace cuda {

// The first of the indices, which are in order, that is at least `position` relative to the
// beginning of the range; `count` if none is. All lanes get it.
GRADWIRE_DEVICE std::uint64_t first_reaching(const Places& places, std::uint64_t position) {
    std::uint64_t begin = 0, end = places.count;  // it is one of them
    while (begin < end) {
        const std::uint64_t step = (end - begin + kWarp - 1) / kWarp;
        const std::uint64_t probe = begin + (lane() + 1) * step - 1;
        const bool below = probe < end && places.indices[probe] - places.range.begin < position;
        const auto lanes = static_cast<unsigned>(__popc(__ballot_sync(kFullWarp, below)));
        const std::uint64_t reached = begin + (lanes + 1) * step - 1;
        begin += lanes * step;
        end = reached < end ? reached : end;
    }
    return begin;
}

}  // namespace cuda
}  // namespace gradwire
