// The operations of gradwire/bits.h for those who do not wait: they only queue work. `status`, a
// word of the device's memory, becomes a gradwire::Status. That data has the right length is for
// the caller to see to.
#pragma once

#include <cstdint>

#include "gradwire/bits.h"

namespace gradwire {
inline namespace cuda {

void enqueue_pack_bits(const std::uint8_t* codes, std::uint64_t n, unsigned bits, std::uint8_t* out,
                       std::uint32_t* status) noexcept;
void enqueue_unpack_bits(const std::uint8_t* data, std::uint64_t n, unsigned bits,
                         std::uint8_t* out, std::uint32_t* status) noexcept;

void enqueue_pack_base3(const std::uint8_t* codes, std::uint64_t n, std::uint8_t* out,
                        std::uint32_t* status) noexcept;
void enqueue_unpack_base3(const std::uint8_t* data, std::uint64_t n, std::uint8_t* out,
                          std::uint32_t* status) noexcept;

}  // namespace cuda
}  // namespace gradwire
