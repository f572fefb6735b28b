// The codecs behind gradwire/indices.h. Arguments were checked: encoders get strictly increasing
// indices of the range and room for the largest message; decoders get count <= range.length and a
// number of bytes that a message can have.
#pragma once

#include <cstdint>

#include "gradwire/index_messages.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Each encoder returns the bytes it wrote.

std::uint64_t encode_u32(Places places, std::uint8_t* out) noexcept;
Status decode_u32(Encoded message, std::uint32_t* out) noexcept;

std::uint64_t encode_tile16(Places places, std::uint8_t* out) noexcept;
Status decode_tile16(Encoded message, std::uint32_t* out) noexcept;

std::uint64_t encode_bitmap(Places places, std::uint8_t* out) noexcept;
Status decode_bitmap(Encoded message, std::uint32_t* out) noexcept;

std::uint64_t encode_rice(Places places, std::uint8_t* out) noexcept;
Status decode_rice(Encoded message, std::uint32_t* out) noexcept;

std::uint64_t encode_gamma(Places places, std::uint8_t* out) noexcept;
Status decode_gamma(Encoded message, std::uint32_t* out) noexcept;

std::uint64_t encode_delta(Places places, std::uint8_t* out) noexcept;
Status decode_delta(Encoded message, std::uint32_t* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
