// Places in sorted indices.
#pragma once

#include <cstdint>

#include "simt.h"

namespace gradwire {
inline namespace cuda {

struct Range {
    std::uint64_t begin;
    std::uint64_t end;
};

// The first place of the range whose index is not below `key` (or, with `above`, above it); its end
// if there is none. By one thread, in halves.
GRADWIRE_DEVICE std::uint64_t find_place(const std::uint32_t* indices, Range range,
                                         std::uint32_t key, bool above = false) {
    while (range.begin < range.end) {
        const std::uint64_t middle = range.begin + (range.end - range.begin) / 2;
        const std::uint32_t index = indices[middle];
        if (index < key || (above && index == key)) {
            range.begin = middle + 1;
        } else {
            range.end = middle;
        }
    }
    return range.begin;
}

// The same by a warp, which all lanes call with the same arguments: it divides the range into 33
// at a time, where one thread would wait for memory five times.
GRADWIRE_DEVICE std::uint64_t warp_find_place(const std::uint32_t* indices, Range range,
                                              std::uint32_t key, bool above = false) {
    while (range.begin < range.end) {
        const std::uint64_t size = range.end - range.begin;
        const auto probe = [&](unsigned number) {
            return range.begin + size * (number + 1) / (kWarp + 1);
        };
        const std::uint32_t index = indices[probe(lane())];
        const unsigned before = __ballot_sync(kFullWarp, index < key || (above && index == key));
        const auto count = static_cast<unsigned>(__popc(before));
        range = {count == 0 ? range.begin : probe(count - 1) + 1,
                 count == kWarp ? range.end : probe(count)};
    }
    return range.begin;
}

}  // namespace cuda
}  // namespace gradwire
