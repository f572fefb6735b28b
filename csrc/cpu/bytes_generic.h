// Sixty-four bytes as eight words; what every name of bytes.h means.
#pragma once

#include <cstdint>

#include "bytes.h"
#include "little_endian.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Bytes {
    std::uint64_t word[kByteLanes / 8];  // eight bytes each, the first one lowest
};

constexpr std::uint64_t kEachByte = 0x0101010101010101U;

GRADWIRE_SIMD Bytes load_bytes(const std::uint8_t* p) noexcept {
    Bytes result;
    for (std::uint64_t i = 0; i < kByteLanes / 8; ++i) {
        result.word[i] = get_u64(p + 8 * i);
    }
    return result;
}
GRADWIRE_SIMD void store_bytes(std::uint8_t* p, Bytes x) noexcept {
    for (std::uint64_t i = 0; i < kByteLanes / 8; ++i) {
        put_u64(p + 8 * i, x.word[i]);
    }
}
GRADWIRE_SIMD Bytes no_bytes() noexcept {  // all zero
    return {};
}
GRADWIRE_SIMD Bytes operator|(Bytes a, Bytes b) noexcept {
    for (std::uint64_t i = 0; i < kByteLanes / 8; ++i) {
        a.word[i] |= b.word[i];
    }
    return a;
}

// Where bit `plane` is set.
GRADWIRE_SIMD ByteMask bytes_with(Bytes x, unsigned plane) noexcept {
    // The product moves the lowest bit of byte i to bit 56 + i; no two terms meet.
    constexpr std::uint64_t kGather = 0x0102040810204080U;
    ByteMask mask = 0;
    for (std::uint64_t i = 0; i < kByteLanes / 8; ++i) {
        mask |= ((((x.word[i] >> plane) & kEachByte) * kGather) >> 56) << (8 * i);
    }
    return mask;
}

// Sets bit `plane` where the mask is set.
GRADWIRE_SIMD Bytes set_bit(Bytes x, unsigned plane, ByteMask mask) noexcept {
    for (std::uint64_t i = 0; i < kByteLanes / 8; ++i) {
        const std::uint64_t apart = ((mask >> (8 * i)) & 0xFFU) * kEachByte & 0x8040201008040201U;
        const std::uint64_t ones = ((apart + 0x7F * kEachByte) >> 7) & kEachByte;
        x.word[i] |= ones << plane;
    }
    return x;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
