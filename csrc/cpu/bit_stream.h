// Streams of bits, least significant bit of each byte first, in words of 64 bits.
#pragma once

#include <cstdint>

#include "gradwire/gap_symbols.h"
#include "gradwire/isa.h"
#include "gradwire/status.h"
#include "little_endian.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Writes whole words while there is room for them, hence behind what it has been given, and bytes
// where there is not. The room must suffice for all bits.
class BitWriter {
  public:
    static constexpr std::uint64_t kMostBits = 56;  // of one put()

    BitWriter(std::uint8_t* out, std::uint64_t room) noexcept
        : begin_(out), next_(out), end_(out + room) {}

    // value < 2^bits.
    GRADWIRE_SIMD void put(std::uint64_t value, std::uint64_t bits) noexcept {
        pending_ |= value << pending_bits_;  // at most 7 + 56 bits
        pending_bits_ += bits;
        const std::uint64_t bytes = pending_bits_ / 8;
        if (end_ - next_ >= 8) {
            put_u64(next_, pending_);
        } else {
            put_part(next_, bytes, pending_);
        }
        next_ += bytes;
        pending_ >>= 8 * bytes;
        pending_bits_ %= 8;
    }

    GRADWIRE_SIMD void put_zeros(std::uint64_t bits) noexcept {
        for (; bits > kMostBits; bits -= kMostBits) {
            put(0, kMostBits);
        }
        put(0, bits);
    }

    // Fills the last byte up with zeros and returns the number of bytes.
    GRADWIRE_SIMD std::uint64_t finish() noexcept {
        put_part(next_, bytes_of(pending_bits_), pending_);
        return static_cast<std::uint64_t>(next_ - begin_) + bytes_of(pending_bits_);
    }

  private:
    std::uint8_t* begin_;
    std::uint8_t* next_;
    std::uint8_t* end_;
    std::uint64_t pending_ = 0;
    std::uint64_t pending_bits_ = 0;  // < 8 between calls
};

// Reads bits of hostile data. Behind the end there are zeros, which finish() does not accept.
class BitReader {
  public:
    static constexpr std::uint64_t kWindowBits = 57;  // that peek() shows at least

    BitReader(const std::uint8_t* data, std::uint64_t bytes) noexcept
        : data_(data), bytes_(bytes) {}

    // The next bits, lowest first: 64 less position % 8.
    GRADWIRE_SIMD std::uint64_t peek() const noexcept {
        const std::uint64_t byte = position_ / 8;
        if (has_word()) {
            return get_u64(data_ + byte) >> position_ % 8;
        }
        return byte < bytes_ ? get_part(data_ + byte, bytes_ - byte) >> position_ % 8 : 0;
    }

    // True if peek() is one load.
    GRADWIRE_SIMD bool has_word() const noexcept { return position_ / 8 + 8 <= bytes_; }

    GRADWIRE_SIMD void skip(std::uint64_t bits) noexcept { position_ += bits; }

    // Skips zeros and the one behind them. wrong_length: there is no one; index_out_of_range: more
    // zeros than `most`. Costs one step for each word skipped.
    Status skip_zeros(std::uint64_t most, std::uint64_t* zeros) noexcept {
        std::uint64_t count = 0;
        for (;;) {
            const std::uint64_t window = peek();
            if (window != 0) {
                count += trailing_zeros(window);
                position_ += trailing_zeros(window) + 1;
                *zeros = count;
                return count <= most ? Status::ok : Status::index_out_of_range;
            }
            const std::uint64_t seen = 64 - position_ % 8;
            count += seen;
            position_ += seen;
            if (position_ / 8 >= bytes_) {
                return Status::wrong_length;
            }
            if (count > most) {
                return Status::index_out_of_range;
            }
        }
    }

    // ok if this is where the data ends, but for zeros up to a whole byte.
    Status finish() const noexcept {
        if (bytes_of(position_) != bytes_) {
            return Status::wrong_length;
        }
        const bool clean = position_ % 8 == 0 || data_[bytes_ - 1] >> position_ % 8 == 0;
        return clean ? Status::ok : Status::nonzero_padding;
    }

  private:
    const std::uint8_t* data_;
    std::uint64_t bytes_;
    std::uint64_t position_ = 0;  // in bits
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
