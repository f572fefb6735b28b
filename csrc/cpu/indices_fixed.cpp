// Codecs with a fixed size for each index: u32 and tile16.
#include <algorithm>

#include "index_codecs.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// Byte by byte: the same on any machine, and one plain access where the order is native.
void put_u16(std::uint8_t* out, std::uint32_t value) noexcept {
    out[0] = static_cast<std::uint8_t>(value);
    out[1] = static_cast<std::uint8_t>(value >> 8);
}

void put_u32(std::uint8_t* out, std::uint32_t value) noexcept {
    put_u16(out, value);
    put_u16(out + 2, value >> 16);
}

std::uint32_t get_u16(const std::uint8_t* data) noexcept {
    return data[0] | (static_cast<std::uint32_t>(data[1]) << 8);
}

std::uint32_t get_u32(const std::uint8_t* data) noexcept {
    return get_u16(data) | (get_u16(data + 2) << 16);
}

Status decode_tile(const std::uint8_t* data, std::uint64_t count, std::uint64_t begin,
                   std::uint64_t length, std::uint32_t* out) noexcept {
    std::uint32_t least = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint32_t offset = get_u16(data + 2 * i);
        if (offset < least) {
            return Status::not_increasing;
        }
        if (offset >= length) {
            return Status::index_out_of_range;
        }
        out[i] = static_cast<std::uint32_t>(begin + offset);
        least = offset + 1;
    }
    return Status::ok;
}

}  // namespace

std::uint64_t encode_u32(Places places, std::uint8_t* out) noexcept {
    for (std::uint64_t i = 0; i < places.count; ++i) {
        put_u32(out + 4 * i, places.indices[i] - places.range.begin);
    }
    return 4 * places.count;
}

std::uint64_t encode_tile16(Places places, std::uint8_t* out) noexcept {
    const std::uint64_t tiles = tile_count(places.range.length);
    std::uint8_t* offsets = out + 4 * tiles;
    std::uint64_t i = 0;
    for (std::uint64_t tile = 0; tile < tiles; ++tile) {
        const std::uint64_t first = i;
        for (; i < places.count; ++i) {
            const std::uint32_t index = places.indices[i] - places.range.begin;
            if (index / kIndexTile != tile) {
                break;
            }
            put_u16(offsets + 2 * i, index);
        }
        put_u32(out + 4 * tile, static_cast<std::uint32_t>(i - first));
    }
    return 4 * tiles + 2 * places.count;
}

Status decode_u32(Encoded message, std::uint32_t* out) noexcept {
    std::uint64_t least = 0;  // what the next index must reach
    for (std::uint64_t i = 0; i < message.count; ++i) {
        const std::uint64_t index = get_u32(message.data + 4 * i);
        if (index < least) {
            return Status::not_increasing;
        }
        if (index >= message.range.length) {
            return Status::index_out_of_range;
        }
        out[i] = static_cast<std::uint32_t>(message.range.begin + index);
        least = index + 1;
    }
    return Status::ok;
}

Status decode_tile16(Encoded message, std::uint32_t* out) noexcept {
    const IndexRange range = message.range;
    const std::uint64_t tiles = tile_count(range.length);
    const std::uint8_t* offsets = message.data + 4 * tiles;
    std::uint64_t done = 0;
    for (std::uint64_t tile = 0; tile < tiles; ++tile) {
        const std::uint64_t here = get_u32(message.data + 4 * tile);
        if (here > message.count - done) {
            return Status::count_mismatch;
        }
        const std::uint64_t begin = tile * kIndexTile;
        const Status status = decode_tile(offsets + 2 * done, here, range.begin + begin,
                                          std::min(kIndexTile, range.length - begin), out + done);
        if (status != Status::ok) {
            return status;
        }
        done += here;
    }
    return done == message.count ? Status::ok : Status::count_mismatch;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
