// Runs of bytes that a warp moves between arrays, which may begin anywhere and end soon, and its
// own room in the memory of its block: 16 bytes a lane where a run is whole and aligned, else
// single bytes, neighbours by neighbouring lanes.
#pragma once

#include <cstdint>

#include "simt.h"

namespace gradwire {
inline namespace cuda {

// Of runs of up to `units` times 16 bytes a lane.
template <unsigned units>
constexpr unsigned kRunBytes = units * kWarp * 16;

template <unsigned units>
struct ByteRoom {
    uint4 unit[units * kWarp];

    GRADWIRE_DEVICE std::uint8_t* bytes() { return reinterpret_cast<std::uint8_t*>(unit); }
};

template <unsigned units>
GRADWIRE_DEVICE bool is_whole(const std::uint8_t* run, std::uint64_t size) {
    return size >= kRunBytes<units> && reinterpret_cast<std::uintptr_t>(run) % 16 == 0;
}

// The run and zeros behind it, kRunBytes<units> in all. All lanes see them after __syncwarp().
template <unsigned units, unsigned room_units>
GRADWIRE_DEVICE void load_run(const std::uint8_t* run, std::uint64_t size,
                              ByteRoom<room_units>& room) {
    if (is_whole<units>(run, size)) {
        const uint4* const from = reinterpret_cast<const uint4*>(run);
        for (unsigned i = 0; i < units; ++i) {
            room.unit[i * kWarp + lane()] = __ldcs(from + i * kWarp + lane());
        }
    } else {
        for (unsigned i = lane(); i < kRunBytes<units>; i += kWarp) {
            room.bytes()[i] = i < size ? run[i] : std::uint8_t{0};
        }
    }
}

// The first `size` bytes of the room, at most kRunBytes<units>; all lanes see them.
template <unsigned units, unsigned room_units>
GRADWIRE_DEVICE void store_run(std::uint8_t* run, std::uint64_t size, ByteRoom<room_units>& room) {
    if (is_whole<units>(run, size)) {
        uint4* const to = reinterpret_cast<uint4*>(run);
        for (unsigned i = 0; i < units; ++i) {
            to[i * kWarp + lane()] = room.unit[i * kWarp + lane()];
        }
    } else {
        for (unsigned i = lane(); i < kRunBytes<units> && i < size; i += kWarp) {
            run[i] = room.bytes()[i];
        }
    }
}

// Runs of one unit a lane: this lane's, through the room only where it has to be.
template <unsigned room_units>
GRADWIRE_DEVICE uint4 load_unit(const std::uint8_t* run, std::uint64_t size,
                                ByteRoom<room_units>& room) {
    if (is_whole<1>(run, size)) {
        return __ldcs(reinterpret_cast<const uint4*>(run) + lane());
    }
    load_run<1>(run, size, room);
    __syncwarp();
    return room.unit[lane()];
}

// Nobody reads the room any more.
template <unsigned room_units>
GRADWIRE_DEVICE void store_unit(std::uint8_t* run, std::uint64_t size, uint4 unit,
                                ByteRoom<room_units>& room) {
    if (is_whole<1>(run, size)) {
        reinterpret_cast<uint4*>(run)[lane()] = unit;
        return;
    }
    room.unit[lane()] = unit;
    __syncwarp();
    store_run<1>(run, size, room);
}

}  // namespace cuda
}  // namespace gradwire
