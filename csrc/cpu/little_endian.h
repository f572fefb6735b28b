// Little-endian integers at any address. Each is one plain access where that is the native order.
#pragma once

#include <cstdint>
#include <cstring>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

inline std::uint64_t native_or_swapped(std::uint64_t value) noexcept {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap64(value);
}

inline std::uint64_t get_u64(const std::uint8_t* data) noexcept {
    std::uint64_t value;
    std::memcpy(&value, data, sizeof value);
    return native_or_swapped(value);
}

inline void put_u64(std::uint8_t* out, std::uint64_t value) noexcept {
    value = native_or_swapped(value);
    std::memcpy(out, &value, sizeof value);
}

// The first `bytes` <= 8 bytes of a u64, the others being zero.
inline std::uint64_t get_part(const std::uint8_t* data, std::uint64_t bytes) noexcept {
    std::uint64_t value = 0;
    for (std::uint64_t i = 0; i < bytes; ++i) {
        value |= std::uint64_t{data[i]} << (8 * i);
    }
    return value;
}

inline void put_part(std::uint8_t* out, std::uint64_t bytes, std::uint64_t value) noexcept {
    for (std::uint64_t i = 0; i < bytes; ++i) {
        out[i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
