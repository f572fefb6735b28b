// Gaps between indices as a stream of symbols: some zeros, a one, and a field of bits.
//
// A code is a class with
//   Symbol symbol(gap)          how a gap is written
//   Parsed field(zeros, word)   the gap and the bits of the field, whose bits begin the word; the
//                               result matters only if zeros <= most_zeros(), and as many bits as
//                               it claims are in the word
//   most_zeros()                more of them never stand before a one
//   typical_bits()              of one symbol, whatever they really are
#pragma once

#include <cstdint>

#include "bit_stream.h"
#include "index_codecs.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Symbol {
    std::uint64_t zeros;
    std::uint64_t field;
    std::uint64_t field_bits;  // at most 37
};

struct Parsed {
    std::uint64_t gap;
    std::uint64_t bits;
};

template <typename Code>
std::uint64_t encode_gaps(const Code& code, Places places, std::uint64_t room,
                          std::uint8_t* out) noexcept {
    BitWriter writer(out, room);
    std::uint32_t least = places.range.begin;  // what the next index is at least; 2^32 becomes 0
    for (std::uint64_t i = 0; i < places.count; ++i) {
        const std::uint32_t index = places.indices[i];
        const Symbol symbol = code.symbol(index - least);
        least = index + 1;
        const std::uint64_t one_and_field = 1 | symbol.field << 1;
        const std::uint64_t bits = symbol.zeros + 1 + symbol.field_bits;
        if (bits <= BitWriter::kMostBits) {
            writer.put(one_and_field << symbol.zeros, bits);
        } else {
            writer.put_zeros(symbol.zeros);
            writer.put(one_and_field, 1 + symbol.field_bits);
        }
    }
    return writer.finish();
}

// One decoding of a message: where it is, and what the next index is at least.
template <typename Code>
class GapDecoder {
  public:
    GapDecoder(const Code& code, const Encoded& message) noexcept
        : code_(code), message_(message), reader_(message.data, message.bytes) {}

    Status decode(std::uint32_t* out) noexcept {
        constexpr std::uint64_t kBits = BitReader::kWindowBits - 8;
        if (4 * code_.typical_bits() <= kBits) {
            return decode_by<4>(out);
        }
        return 2 * code_.typical_bits() <= kBits ? decode_by<2>(out) : decode_by<1>(out);
    }

  private:
    // A whole symbol from the beginning of a word, if it has as many bits as the result says. If no
    // one is in the word, that is more than 64.
    GRADWIRE_SIMD Parsed parse(std::uint64_t word) const noexcept {
        const std::uint64_t zeros = trailing_zeros(word);
        const Parsed field = code_.field(zeros, word >> (zeros & 63) >> 1);
        return {field.gap, zeros + 1 + field.bits};
    }

    // The next index after `gap` others, relative to begin. Gaps are below 2^63.
    GRADWIRE_SIMD std::uint64_t advance(std::uint64_t gap) noexcept {
        const std::uint64_t index = least_ + gap;
        least_ = index + 1;
        return index;
    }

    // One symbol of any size.
    Status decode_one(std::uint32_t* out) noexcept {
        std::uint64_t zeros = 0;
        const Status status = reader_.skip_zeros(code_.most_zeros(), &zeros);
        if (status != Status::ok) {
            return status;
        }
        const Parsed field = code_.field(zeros, reader_.peek());
        reader_.skip(field.bits);
        *out = static_cast<std::uint32_t>(message_.range.begin + advance(field.gap));
        return least_ <= message_.range.length ? Status::ok : Status::index_out_of_range;
    }

    // Several symbols from one word, where they are as short as they typically are.
    template <std::uint64_t several>
    Status decode_by(std::uint32_t* out) noexcept {
        std::uint64_t i = 0;
        while (i + several <= message_.count && reader_.has_word()) {
            std::uint64_t word = reader_.peek();
            std::uint64_t bits = 0;
            std::uint64_t gaps[several];
            for (std::uint64_t j = 0; j < several; ++j) {
                const Parsed symbol = parse(word);
                gaps[j] = symbol.gap;
                bits += symbol.bits;
                word >>= symbol.bits & 63;
            }
            if (bits > BitReader::kWindowBits) {
                const Status status = decode_one(out + i);
                if (status != Status::ok) {
                    return status;
                }
                ++i;
                continue;
            }
            reader_.skip(bits);
            for (std::uint64_t j = 0; j < several; ++j) {
                out[i + j] = static_cast<std::uint32_t>(message_.range.begin + advance(gaps[j]));
            }
            if (least_ > message_.range.length) {
                return Status::index_out_of_range;
            }
            i += several;
        }
        for (; i < message_.count; ++i) {
            const Status status = decode_one(out + i);
            if (status != Status::ok) {
                return status;
            }
        }
        return reader_.finish();
    }

    Code code_;
    Encoded message_;
    BitReader reader_;
    std::uint64_t least_ = 0;  // relative to begin
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
