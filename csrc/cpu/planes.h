// Chunks of 512 codes and their bit planes, as gradwire/quantize.h lays them out.
#pragma once

#include <cstdint>
#include <cstring>

#include "bytes.h"
#include "gradwire/chunks.h"
#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kMaxBits = 8;
constexpr std::uint64_t kGroup = kByteLanes;  // codes that are packed at a time
constexpr std::uint64_t kFullPlane = kChunk / 8;

// Writes the first `bits` planes of one chunk, 1 <= size <= 512. `codes` has room for 512, and what
// follows the first `size` is overwritten with zeros up to a multiple of 64.
inline void pack_chunk(std::uint8_t* codes, std::uint64_t size, unsigned bits,
                       std::uint8_t* out) noexcept {
    if (size == kChunk) {
        for (std::uint64_t i = 0; i < kChunk; i += kGroup) {
            const Bytes group = load_bytes(codes + i);
            for (unsigned bit = 0; bit < bits; ++bit) {
                const std::uint64_t plane = bytes_with(group, bit);
                std::memcpy(out + kFullPlane * bit + i / 8, &plane, sizeof plane);
            }
        }
        return;
    }
    const std::uint64_t padded = (size + kGroup - 1) / kGroup * kGroup;
    std::memset(codes + size, 0, padded - size);
    for (unsigned bit = 0; bit < bits; ++bit) {
        std::uint8_t plane[kFullPlane];
        for (std::uint64_t i = 0; i < padded; i += kGroup) {
            const std::uint64_t group = bytes_with(load_bytes(codes + i), bit);
            std::memcpy(plane + i / 8, &group, sizeof group);
        }
        std::memcpy(out + plane_bytes(size) * bit, plane, plane_bytes(size));
    }
}

// The inverse; codes beyond `size` are unspecified, below 2^bits.
inline void unpack_chunk(const std::uint8_t* planes, std::uint64_t size, unsigned bits,
                         std::uint8_t* codes) noexcept {
    std::uint8_t padded[kMaxBits * kFullPlane];
    if (size != kChunk) {
        std::memset(padded, 0, sizeof padded);
        for (unsigned bit = 0; bit < bits; ++bit) {
            std::memcpy(padded + kFullPlane * bit, planes + plane_bytes(size) * bit,
                        plane_bytes(size));
        }
        planes = padded;
    }
    for (std::uint64_t i = 0; i < size; i += kGroup) {
        Bytes group = no_bytes();
        for (unsigned bit = 0; bit < bits; ++bit) {
            std::uint64_t plane;
            std::memcpy(&plane, planes + kFullPlane * bit + i / 8, sizeof plane);
            group = set_bit(group, bit, plane);
        }
        store_bytes(codes + i, group);
    }
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
