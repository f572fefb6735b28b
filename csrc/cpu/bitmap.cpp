#include <cstring>

#include "bit_stream.h"
#include "index_codecs.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

constexpr std::uint32_t kWordBits = 64;

}  // namespace

std::uint64_t encode_bitmap(Places places, std::uint8_t* out) noexcept {
    const std::uint64_t bytes = bytes_of(places.range.length);
    std::memset(out, 0, bytes);
    // Indices of whole words, which are stored as such.
    const std::uint64_t end = bytes / 8 * kWordBits;
    std::uint64_t whole = places.count;
    while (whole > 0 && places.indices[whole - 1] - places.range.begin >= end) {
        --whole;
    }
    // A word is stored once for each of its indices, with one more bit each time: no branch.
    std::uint64_t word = 0;
    std::int64_t number = 0;
    for (std::uint64_t i = 0; i < whole; ++i) {
        const std::uint32_t index = places.indices[i] - places.range.begin;
        const std::int64_t step = std::int64_t{index / kWordBits} - number;
        const auto kept = static_cast<std::uint64_t>((step - 1) >> 63);  // all bits if step is 0
        number += step;
        word = (word & kept) | std::uint64_t{1} << index % kWordBits;
        put_u64(out + 8 * number, word);
    }
    for (std::uint64_t i = whole; i < places.count; ++i) {
        const std::uint32_t index = places.indices[i] - places.range.begin;
        out[index / 8] = static_cast<std::uint8_t>(out[index / 8] | 1U << index % 8);
    }
    return bytes;
}

Status decode_bitmap(Encoded message, std::uint32_t* out) noexcept {
    const std::uint64_t length = message.range.length;
    if (length % 8 != 0 && message.data[message.bytes - 1] >> length % 8 != 0) {
        return Status::nonzero_padding;
    }
    std::uint64_t done = 0;
    std::uint32_t few[kWordBits];
    for (std::uint64_t byte = 0; byte < message.bytes; byte += 8) {
        const std::uint64_t left = message.bytes - byte;
        const std::uint64_t word =
            left < 8 ? get_part(message.data + byte, left) : get_u64(message.data + byte);
        if (word == 0) {
            continue;
        }
        const auto first = static_cast<std::uint32_t>(message.range.begin + 8 * byte);
        if (message.count - done >= kWordBits) {
            done += store_set_bits(out + done, word, first);
            continue;
        }
        const std::uint64_t found = store_set_bits(few, word, first);
        if (found > message.count - done) {
            return Status::count_mismatch;
        }
        std::memcpy(out + done, few, found * sizeof *out);
        done += found;
    }
    return done == message.count ? Status::ok : Status::count_mismatch;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
