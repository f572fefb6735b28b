#include <algorithm>

#include "gap_codes.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

constexpr std::uint64_t kParameterBits = 5;  // r < 32

class Rice {
  public:
    Rice(std::uint64_t r, std::uint64_t length) noexcept : r_(r), most_zeros_(length >> r) {}

    GRADWIRE_SIMD Symbol symbol(std::uint32_t gap) const noexcept {
        return {gap >> r_, low_bits(gap, r_), r_};
    }
    GRADWIRE_SIMD Parsed field(std::uint64_t zeros, std::uint64_t word) const noexcept {
        return {zeros << r_ | low_bits(word, r_), r_};
    }
    std::uint64_t most_zeros() const noexcept { return most_zeros_; }
    std::uint64_t typical_bits() const noexcept { return r_ + 2; }

  private:
    std::uint64_t r_;
    std::uint64_t most_zeros_;
};

}  // namespace

unsigned rice_parameter(std::uint64_t count, std::uint64_t length) noexcept {
    const std::uint64_t mean = count == 0 ? 0 : (length - count) / count;
    return mean == 0 ? 0 : static_cast<unsigned>(floor_log2(mean));
}

// With the r of its mean gap m, a block has less than r + 3 bits per index: a one, r bits and less
// than two zeros. As r <= log2(1 + m), which is concave, all blocks together have at most as many
// as if all gaps were alike.
EncodedSize rice_size(std::uint64_t count, std::uint64_t length) noexcept {
    if (count == 0) {
        return {0, 0};
    }
    const std::uint64_t parameters = kParameterBits * ((count - 1) / kRiceBlock + 1);
    const std::uint64_t log = floor_log2(1 + (length - count) / count);
    return {bytes_of(parameters + count), bytes_of(parameters + count * (log + 4))};
}

std::uint64_t encode_rice(Places places, std::uint8_t* out) noexcept {
    BitWriter writer(out, rice_size(places.count, places.range.length).max);
    std::uint32_t least = places.range.begin;
    for (std::uint64_t begin = 0; begin < places.count; begin += kRiceBlock) {
        const std::uint64_t count = std::min(kRiceBlock, places.count - begin);
        const std::uint32_t* const indices = places.indices + begin;
        const std::uint64_t span = std::uint64_t{indices[count - 1] - least} + 1;
        const std::uint64_t r = rice_parameter(count, span);
        writer.put(r, kParameterBits);
        put_gaps(Rice(r, places.range.length), indices, count, &least, &writer);
    }
    return writer.finish();
}

Status decode_rice(Encoded message, std::uint32_t* out) noexcept {
    GapReader reader(message);
    for (std::uint64_t begin = 0; begin < message.count; begin += kRiceBlock) {
        const std::uint64_t count = std::min(kRiceBlock, message.count - begin);
        const std::uint64_t least = reader.least();
        const std::uint64_t r = reader.field(kParameterBits);
        const Rice code(r, message.range.length);
        const Status status = reader.read(code, count, out + begin);
        if (status != Status::ok) {
            return status;
        }
        if (r != rice_parameter(count, reader.least() - least)) {
            return Status::wrong_parameter;
        }
    }
    return reader.finish();
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
