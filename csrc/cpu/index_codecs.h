// The codecs behind gradwire/indices.h. Arguments were checked: encoders get strictly increasing
// indices of the range and room for the largest message; decoders get count <= range.length and a
// number of bytes that a message can have.
#pragma once

#include <cstdint>

#include "gradwire/indices.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Places {  // to encode
    const std::uint32_t* indices;
    std::uint64_t count;
    IndexRange range;
};

struct Encoded {  // to decode
    const std::uint8_t* data;
    std::uint64_t bytes;
    std::uint64_t count;
    IndexRange range;
};

// Each encoder returns the bytes it wrote.

EncodedSize u32_size(std::uint64_t count, std::uint64_t length) noexcept;
std::uint64_t encode_u32(Places places, std::uint8_t* out) noexcept;
Status decode_u32(Encoded message, std::uint32_t* out) noexcept;

EncodedSize tile16_size(std::uint64_t count, std::uint64_t length) noexcept;
std::uint64_t encode_tile16(Places places, std::uint8_t* out) noexcept;
Status decode_tile16(Encoded message, std::uint32_t* out) noexcept;

EncodedSize bitmap_size(std::uint64_t count, std::uint64_t length) noexcept;
std::uint64_t encode_bitmap(Places places, std::uint8_t* out) noexcept;
Status decode_bitmap(Encoded message, std::uint32_t* out) noexcept;

EncodedSize rice_size(std::uint64_t count, std::uint64_t length) noexcept;
std::uint64_t encode_rice(Places places, std::uint8_t* out) noexcept;
Status decode_rice(Encoded message, std::uint32_t* out) noexcept;

EncodedSize gamma_size(std::uint64_t count, std::uint64_t length) noexcept;
std::uint64_t encode_gamma(Places places, std::uint8_t* out) noexcept;
Status decode_gamma(Encoded message, std::uint32_t* out) noexcept;

EncodedSize delta_size(std::uint64_t count, std::uint64_t length) noexcept;
std::uint64_t encode_delta(Places places, std::uint8_t* out) noexcept;
Status decode_delta(Encoded message, std::uint32_t* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
