#include "gap_codes.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

class Rice {
  public:
    Rice(std::uint64_t count, std::uint64_t length) noexcept
        : r_(rice_parameter(count, length)), most_zeros_(length >> r_) {}

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

// Each index has its one and its r bits. The gaps add up to at most length - count, so the zeros to
// at most that over 2^r: none if indices follow one another, all if one gap is as long as it can
// be.
EncodedSize rice_size(std::uint64_t count, std::uint64_t length) noexcept {
    const unsigned r = rice_parameter(count, length);
    const std::uint64_t least = count * (r + 1);
    return {bytes_of(least), bytes_of(least + (count == 0 ? 0 : (length - count) >> r))};
}

std::uint64_t encode_rice(Places places, std::uint8_t* out) noexcept {
    const std::uint64_t length = places.range.length;
    return encode_gaps(Rice(places.count, length), places, rice_size(places.count, length).max,
                       out);
}

Status decode_rice(Encoded message, std::uint32_t* out) noexcept {
    const Rice code(message.count, message.range.length);
    return GapDecoder<Rice>(code, message).decode(out);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
