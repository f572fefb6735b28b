// Little-endian words of messages, which begin at any address. Nothing outside a message is
// touched, though words of memory that lie half in it would be quicker.
#pragma once

#include <cstdint>

#include "simt.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {

// A message as words of 32 bits, with zeros behind its end.
class WireWords {
  public:
    GRADWIRE_DEVICE WireWords(const std::uint8_t* data, std::uint64_t bytes)
        : data_(data),
          bytes_(bytes),
          skew_(static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(data) % 4)) {}

    GRADWIRE_DEVICE std::uint64_t bytes() const { return bytes_; }

    GRADWIRE_DEVICE std::uint32_t word(std::uint64_t w) const {
        const std::uint64_t first = 4 * w;
        if (skew_ == 0 && first + 4 <= bytes_) {
            return *reinterpret_cast<const std::uint32_t*>(data_ + first);
        }
        if (skew_ != 0 && w != 0 && first + 8 - skew_ <= bytes_) {
            const auto* const memory =
                reinterpret_cast<const std::uint32_t*>(data_ + first - skew_);
            const std::uint64_t both = memory[0] | static_cast<std::uint64_t>(memory[1]) << 32;
            return static_cast<std::uint32_t>(both >> (8 * skew_));
        }
        std::uint32_t value = 0;
        for (unsigned byte = 0; byte < 4; ++byte) {
            if (first + byte < bytes_) {
                value |= static_cast<std::uint32_t>(data_[first + byte]) << (8 * byte);
            }
        }
        return value;
    }

  private:
    const std::uint8_t* data_;
    std::uint64_t bytes_;
    unsigned skew_;  // bytes from a word of memory to the beginning
};

// Integers i to i + 3 of `count` in a message, zeros behind the last; T is u16 or u32.
template <typename T>
GRADWIRE_DEVICE Quad<T> load_wire(const std::uint8_t* data, std::uint64_t i, std::uint64_t count) {
    const std::uint8_t* const first = data + sizeof(T) * i;
    if (reinterpret_cast<std::uintptr_t>(first) % sizeof(T) == 0) {
        return load_quad(reinterpret_cast<const T*>(data), i, count);
    }
    Quad<T> quad;
    for (unsigned j = 0; j < kQuad; ++j) {
        std::uint32_t value = 0;
        if (i + j < count) {
            for (unsigned byte = 0; byte < sizeof(T); ++byte) {
                value |= static_cast<std::uint32_t>(first[sizeof(T) * j + byte]) << (8 * byte);
            }
        }
        quad.at[j] = static_cast<T>(value);
    }
    return quad;
}

template <typename T>
GRADWIRE_DEVICE T load_wire_one(const std::uint8_t* data, std::uint64_t i) {
    std::uint32_t value = 0;
    for (unsigned byte = 0; byte < sizeof(T); ++byte) {
        value |= static_cast<std::uint32_t>(data[sizeof(T) * i + byte]) << (8 * byte);
    }
    return static_cast<T>(value);
}

template <typename T>
GRADWIRE_DEVICE void store_wire(std::uint8_t* out, std::uint64_t i, std::uint64_t count,
                                const Quad<T>& quad) {
    std::uint8_t* const first = out + sizeof(T) * i;
    if (reinterpret_cast<std::uintptr_t>(first) % sizeof(T) == 0) {
        store_quad(reinterpret_cast<T*>(out), i, count, quad);
        return;
    }
    for (unsigned j = 0; j < kQuad; ++j) {
        for (unsigned byte = 0; byte < sizeof(T) && i + j < count; ++byte) {
            first[sizeof(T) * j + byte] = static_cast<std::uint8_t>(quad.at[j] >> (8 * byte));
        }
    }
}

// Bytes of a block's room (words of 32 bits, of which byte `skew` is the first) to `size` bytes of
// memory, which begin `skew` bytes behind a word of memory. By all threads of the block.
GRADWIRE_DEVICE void store_room(const std::uint32_t* room, unsigned skew, std::uint8_t* out,
                                std::uint64_t size) {
    std::uint8_t* const memory = out - skew;  // where the room's first byte would go
    const std::uint64_t end = skew + size;
    for (std::uint64_t w = threadIdx.x; 4 * w < end; w += blockDim.x) {
        if (4 * w >= skew && 4 * w + 4 <= end) {
            reinterpret_cast<std::uint32_t*>(memory)[w] = room[w];
            continue;
        }
        for (unsigned byte = 0; byte < 4; ++byte) {
            if (4 * w + byte >= skew && 4 * w + byte < end) {
                memory[4 * w + byte] = static_cast<std::uint8_t>(room[w] >> (8 * byte));
            }
        }
    }
}

GRADWIRE_DEVICE unsigned skew_of(const void* memory) {
    return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(memory) % 4);
}

}  // namespace cuda
}  // namespace gradwire
