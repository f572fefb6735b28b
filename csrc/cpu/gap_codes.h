// Gaps between indices as a stream of symbols (gradwire/gap_symbols.h has the codes).
#pragma once

#include <cstdint>

#include "bit_stream.h"
#include "gradwire/gap_symbols.h"
#include "index_codecs.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Writes the gaps of successive indices. `least` is what the first of them is at least, and then
// what the next one is; 2^32 becomes 0.
template <typename Code>
void put_gaps(const Code& code, const std::uint32_t* indices, std::uint64_t count,
              std::uint32_t* least, BitWriter* writer) noexcept {
    for (std::uint64_t i = 0; i < count; ++i) {
        const Symbol symbol = code.symbol(indices[i] - *least);
        *least = indices[i] + 1;
        const std::uint64_t one_and_field = 1 | symbol.field << 1;
        const std::uint64_t bits = symbol.zeros + 1 + symbol.field_bits;
        if (bits <= BitWriter::kMostBits) {
            writer->put(one_and_field << symbol.zeros, bits);
        } else {
            writer->put_zeros(symbol.zeros);
            writer->put(one_and_field, 1 + symbol.field_bits);
        }
    }
}

// Reads the indices of a message, in one run or in several with codes of their own.
class GapReader {
  public:
    explicit GapReader(const Encoded& message) noexcept
        : range_(message.range), reader_(message.data, message.bytes) {}

    template <typename Code>
    Status read(const Code& code, std::uint64_t count, std::uint32_t* out) noexcept {
        constexpr std::uint64_t kBits = BitReader::kWindowBits - 8;
        if (4 * code.typical_bits() <= kBits) {
            return read_by<4>(code, count, out);
        }
        return 2 * code.typical_bits() <= kBits ? read_by<2>(code, count, out)
                                                : read_by<1>(code, count, out);
    }

    // A field of at most 57 bits between runs.
    std::uint64_t field(std::uint64_t bits) noexcept {
        const std::uint64_t value = low_bits(reader_.peek(), bits);
        reader_.skip(bits);
        return value;
    }

    // What the next index is at least, relative to begin.
    std::uint64_t least() const noexcept { return least_; }

    Status finish() const noexcept { return reader_.finish(); }

  private:
    // A whole symbol from the beginning of a word, if it has as many bits as the result says. If no
    // one is in the word, that is more than 64.
    template <typename Code>
    GRADWIRE_SIMD static Parsed parse(const Code& code, std::uint64_t word) noexcept {
        const std::uint64_t zeros = trailing_zeros(word);
        const Parsed field = code.field(zeros, word >> (zeros & 63) >> 1);
        return {field.gap, zeros + 1 + field.bits};
    }

    // The next index after `gap` others, relative to begin. Gaps are below 2^63.
    GRADWIRE_SIMD std::uint64_t advance(std::uint64_t gap) noexcept {
        const std::uint64_t index = least_ + gap;
        least_ = index + 1;
        return index;
    }

    // One symbol of any size.
    template <typename Code>
    Status read_one(const Code& code, std::uint32_t* out) noexcept {
        std::uint64_t zeros = 0;
        const Status status = reader_.skip_zeros(code.most_zeros(), &zeros);
        if (status != Status::ok) {
            return status;
        }
        const Parsed field = code.field(zeros, reader_.peek());
        reader_.skip(field.bits);
        *out = static_cast<std::uint32_t>(range_.begin + advance(field.gap));
        return least_ <= range_.length ? Status::ok : Status::index_out_of_range;
    }

    // Several symbols from one word, where they are as short as they typically are.
    template <std::uint64_t several, typename Code>
    Status read_by(const Code& code, std::uint64_t count, std::uint32_t* out) noexcept {
        std::uint64_t i = 0;
        while (i + several <= count && reader_.has_word()) {
            std::uint64_t word = reader_.peek();
            std::uint64_t bits = 0;
            std::uint64_t gaps[several];
            for (std::uint64_t j = 0; j < several; ++j) {
                const Parsed symbol = parse(code, word);
                gaps[j] = symbol.gap;
                bits += symbol.bits;
                word >>= symbol.bits & 63;
            }
            if (bits > BitReader::kWindowBits) {
                const Status status = read_one(code, out + i);
                if (status != Status::ok) {
                    return status;
                }
                ++i;
                continue;
            }
            reader_.skip(bits);
            for (std::uint64_t j = 0; j < several; ++j) {
                out[i + j] = static_cast<std::uint32_t>(range_.begin + advance(gaps[j]));
            }
            if (least_ > range_.length) {
                return Status::index_out_of_range;
            }
            i += several;
        }
        for (; i < count; ++i) {
            const Status status = read_one(code, out + i);
            if (status != Status::ok) {
                return status;
            }
        }
        return Status::ok;
    }

    IndexRange range_;
    BitReader reader_;
    std::uint64_t least_ = 0;  // relative to begin
};

// A whole message in one run.
template <typename Code>
std::uint64_t encode_gaps(const Code& code, Places places, IndexCodec codec,
                          std::uint8_t* out) noexcept {
    BitWriter writer(out, encoded_size(places.count, places.range.length, codec).max);
    std::uint32_t least = places.range.begin;
    put_gaps(code, places.indices, places.count, &least, &writer);
    return writer.finish();
}

template <typename Code>
Status decode_gaps(const Code& code, const Encoded& message, std::uint32_t* out) noexcept {
    GapReader reader(message);
    const Status status = reader.read(code, message.count, out);
    return status == Status::ok ? reader.finish() : status;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
