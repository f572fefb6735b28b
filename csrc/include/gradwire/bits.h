// Small codes, one byte each in memory, packed for the wire.
//
// Bits: planar. Codes are cut into chunks of 512 (the last one may be shorter); a chunk of m codes
// is `bits` planes of ceil(m / 8) bytes, least significant plane first. Code i of the chunk is at
// byte i / 8, bit i % 8 (least significant first) of each plane. Unused bits are 0.
//
// Base 3: five trits (0, 1, 2) per byte, 81 a + 27 b + 9 c + 3 d + e for consecutive codes a..e. A
// last byte is filled up with trits 0.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kPackedChunk = 512;  // codes
constexpr unsigned kMaxCodeBits = 8;

// Bytes of n packed codes: bits * ceil(n / 8).
inline std::uint64_t packed_size(std::uint64_t n, unsigned bits) noexcept {
    return bits * ((n + 7) / 8);
}

// out has room for packed_size() bytes; 1 <= bits <= 8. code_too_large: a code is 2^bits or more,
// and the contents of out are unspecified. Reads n bytes, writes bits * n / 8.
Status pack_bits(const std::uint8_t* codes, std::uint64_t n, unsigned bits,
                 std::uint8_t* out) noexcept;

// Data is hostile: wrong_length unless it has packed_size() bytes, nonzero_padding. After an error
// the contents of out[0..n) are unspecified.
Status unpack_bits(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t n, unsigned bits,
                   std::uint8_t* out) noexcept;

// Bytes of n trits: ceil(n / 5).
inline std::uint64_t base3_size(std::uint64_t n) noexcept {
    return (n + 4) / 5;
}

// out has room for base3_size() bytes. code_too_large: a trit is 3 or more, and the contents of out
// are unspecified. Reads n bytes, writes n / 5.
Status pack_base3(const std::uint8_t* codes, std::uint64_t n, std::uint8_t* out) noexcept;

// Data is hostile: wrong_length unless it has base3_size() bytes, code_too_large for a byte above
// 242, nonzero_padding. After an error the contents of out[0..n) are unspecified.
Status unpack_base3(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t n,
                    std::uint8_t* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
