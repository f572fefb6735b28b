// Chunks of 512 codes and their bit planes (see gradwire/quantize.h), by a warp: lane l has codes
// 16 l to 16 l + 15, one a byte, and bytes 2 l and 2 l + 1 of every plane. So lanes transpose 8 by
// 8 bits, and none needs another.
#pragma once

#include <cstdint>

#include "gradwire/bits.h"
#include "simt.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kLaneCodes = kPackedChunk / kWarp;  // 16

// Bit j of byte i becomes bit i of byte j; its own inverse. Blocks of 1, then 2, then 4 bits and
// bytes change places across the diagonal.
GRADWIRE_DEVICE uint2 transposed(uint2 x) {
    std::uint32_t low = (x.x ^ (x.x >> 7)) & 0x00AA00AAU;
    std::uint32_t high = (x.y ^ (x.y >> 7)) & 0x00AA00AAU;
    x = {x.x ^ low ^ (low << 7), x.y ^ high ^ (high << 7)};
    low = (x.x ^ (x.x >> 14)) & 0x0000CCCCU;
    high = (x.y ^ (x.y >> 14)) & 0x0000CCCCU;
    x = {x.x ^ low ^ (low << 14), x.y ^ high ^ (high << 14)};
    low = (x.x ^ (x.y << 4)) & 0xF0F0F0F0U;
    return {x.x ^ low, x.y ^ (low >> 4)};
}

GRADWIRE_DEVICE std::uint32_t byte_of(uint2 x, unsigned i) {
    return ((i < 4 ? x.x : x.y) >> (8 * (i % 4))) & 0xFFU;
}

// Writes the planes of `size` codes; those behind are 0.
GRADWIRE_DEVICE void store_planes(uint4 codes, std::uint64_t size, unsigned bits,
                                  std::uint8_t* out) {
    const uint2 first = transposed({codes.x, codes.y}), second = transposed({codes.z, codes.w});
    const auto plane = static_cast<unsigned>((size + 7) / 8);
    const unsigned at = 2 * lane();
    const bool pairs = at + 1 < plane && (reinterpret_cast<std::uintptr_t>(out) | plane) % 2 == 0;
    out += at;
    GRADWIRE_UNROLL
    for (unsigned i = 0; i < kMaxCodeBits; ++i) {
        if (i < bits) {
            const std::uint32_t even = byte_of(first, i), odd = byte_of(second, i);
            if (pairs) {
                *reinterpret_cast<std::uint16_t*>(out) =
                    static_cast<std::uint16_t>(even | odd << 8);
            } else {
                if (at < plane) {
                    out[0] = static_cast<std::uint8_t>(even);
                }
                if (at + 1 < plane) {
                    out[1] = static_cast<std::uint8_t>(odd);
                }
            }
            out += plane;
        }
    }
}

// The codes of the planes of `size` of them; those behind are what the last bytes say, or 0. All is
// read before anything waits for it.
GRADWIRE_DEVICE uint4 load_planes(const std::uint8_t* in, std::uint64_t size, unsigned bits) {
    const auto plane = static_cast<unsigned>((size + 7) / 8);
    const unsigned at = 2 * lane();
    in += at;
    std::uint32_t pairs[kMaxCodeBits] = {};
    if (at + 1 < plane && (reinterpret_cast<std::uintptr_t>(in) | plane) % 2 == 0) {
        GRADWIRE_UNROLL
        for (unsigned i = 0; i < kMaxCodeBits; ++i) {
            if (i < bits) {
                pairs[i] = __ldcs(reinterpret_cast<const std::uint16_t*>(in + i * plane));
            }
        }
    } else {
        GRADWIRE_UNROLL
        for (unsigned i = 0; i < kMaxCodeBits; ++i) {
            if (i < bits && at < plane) {
                pairs[i] = in[i * plane];
                pairs[i] |= at + 1 < plane ? std::uint32_t{in[i * plane + 1]} << 8 : 0;
            }
        }
    }
    uint2 first{0, 0}, second{0, 0};
    GRADWIRE_UNROLL
    for (unsigned i = 0; i < kMaxCodeBits; ++i) {
        (i < 4 ? first.x : first.y) |= (pairs[i] & 0xFFU) << (8 * (i % 4));
        (i < 4 ? second.x : second.y) |= (pairs[i] >> 8) << (8 * (i % 4));
    }
    first = transposed(first);
    second = transposed(second);
    return {first.x, first.y, second.x, second.y};
}

// How many of this lane's 16 codes are among the first `size`.
GRADWIRE_DEVICE unsigned own_codes(std::uint64_t size) {
    const std::uint64_t before = kLaneCodes * lane();
    return size <= before               ? 0
           : size - before < kLaneCodes ? static_cast<unsigned>(size - before)
                                        : kLaneCodes;
}

// The bits that occur in a lane's codes from number `begin` on.
GRADWIRE_DEVICE std::uint32_t united_from(uint4 codes, unsigned begin) {
    const std::uint32_t words[] = {codes.x, codes.y, codes.z, codes.w};
    std::uint32_t all = 0;
    GRADWIRE_UNROLL
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned skip = begin <= 4 * i ? 0 : begin - 4 * i;  // codes of this word
        all |= skip < 4 ? words[i] >> (8 * skip) : 0;
    }
    all |= all >> 16;
    return (all | all >> 8) & 0xFFU;
}

}  // namespace cuda
}  // namespace gradwire
