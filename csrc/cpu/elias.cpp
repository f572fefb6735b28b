#include "gap_codes.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// floor(log2(length / count)), which most indices of a random set have about as logarithm of
// gap + 1; 0 if count is 0.
std::uint64_t typical_log2(std::uint64_t count, std::uint64_t length) noexcept {
    return count == 0 ? 0 : floor_log2(length / count);
}

class Gamma {
  public:
    explicit Gamma(std::uint64_t typical) noexcept : typical_bits_(2 * typical + 1) {}

    GRADWIRE_SIMD Symbol symbol(std::uint32_t gap) const noexcept {
        const std::uint64_t value = std::uint64_t{gap} + 1;
        const std::uint64_t log = floor_log2(value);
        return {log, low_bits(value, log), log};
    }
    GRADWIRE_SIMD Parsed field(std::uint64_t zeros, std::uint64_t word) const noexcept {
        const std::uint64_t highest = std::uint64_t{1} << (zeros & 63);
        return {(highest | low_bits(word, zeros)) - 1, zeros};
    }
    std::uint64_t most_zeros() const noexcept { return 32; }  // gap + 1 = 2^32
    std::uint64_t typical_bits() const noexcept { return typical_bits_; }

  private:
    std::uint64_t typical_bits_;
};

class Delta {
  public:
    explicit Delta(std::uint64_t typical) noexcept
        : typical_bits_(typical + 2 * floor_log2(typical + 1) + 1) {}

    GRADWIRE_SIMD Symbol symbol(std::uint32_t gap) const noexcept {
        const std::uint64_t value = std::uint64_t{gap} + 1;
        const std::uint64_t log = floor_log2(value);
        const std::uint64_t zeros = floor_log2(log + 1);
        return {zeros, low_bits(log + 1, zeros) | low_bits(value, log) << zeros, zeros + log};
    }
    GRADWIRE_SIMD Parsed field(std::uint64_t zeros, std::uint64_t word) const noexcept {
        // After five zeros up to 62 bits may be claimed. A log above 32 means a gap beyond any
        // range, whatever its bits are.
        const std::uint64_t highest = std::uint64_t{1} << (zeros & 63);
        const std::uint64_t log = (highest | low_bits(word, zeros)) - 1;
        const std::uint64_t value = low_bits(word >> (zeros & 63), log);
        return {((std::uint64_t{1} << (log & 63)) | value) - 1, zeros + log};
    }
    std::uint64_t most_zeros() const noexcept { return 5; }  // log + 1 = 33
    std::uint64_t typical_bits() const noexcept { return typical_bits_; }

  private:
    std::uint64_t typical_bits_;
};

// The largest sum of floor(log2(gap + 1)). The gaps + 1 add up to at most length, and raising one
// from 2^k to 2^(k + 1) costs 2^k: so all are raised to the same k, and as many as still can be to
// k + 1.
std::uint64_t most_logs(std::uint64_t count, std::uint64_t length) noexcept {
    if (count == 0) {
        return 0;
    }
    const std::uint64_t k = typical_log2(count, length);
    return count * k + ((length - (count << k)) >> k);
}

// The largest sum of floor(log2(log + 1)), log being floor(log2(gap + 1)), in the same way: it is
// raised where gap + 1 reaches 2, 8, 128, 2^15 and 2^31.
std::uint64_t most_logs_of_logs(std::uint64_t count, std::uint64_t length) noexcept {
    constexpr std::uint64_t kRaisedAt[] = {
        1, 2, 8, 128, std::uint64_t{1} << 15, std::uint64_t{1} << 31};
    std::uint64_t sum = 0;
    std::uint64_t left = length - count;
    for (std::uint64_t i = 1; i < sizeof kRaisedAt / sizeof *kRaisedAt; ++i) {
        const std::uint64_t cost = kRaisedAt[i] - kRaisedAt[i - 1];
        const std::uint64_t raised = left / cost < count ? left / cost : count;
        sum += raised;
        left -= raised * cost;
    }
    return sum;
}

}  // namespace

// One bit per index at least, if indices follow one another.
EncodedSize gamma_size(std::uint64_t count, std::uint64_t length) noexcept {
    return {bytes_of(count), bytes_of(count + 2 * most_logs(count, length))};
}

EncodedSize delta_size(std::uint64_t count, std::uint64_t length) noexcept {
    return {bytes_of(count),
            bytes_of(count + most_logs(count, length) + 2 * most_logs_of_logs(count, length))};
}

std::uint64_t encode_gamma(Places places, std::uint8_t* out) noexcept {
    const std::uint64_t length = places.range.length;
    return encode_gaps(Gamma(0), places, gamma_size(places.count, length).max, out);
}

std::uint64_t encode_delta(Places places, std::uint8_t* out) noexcept {
    const std::uint64_t length = places.range.length;
    return encode_gaps(Delta(0), places, delta_size(places.count, length).max, out);
}

Status decode_gamma(Encoded message, std::uint32_t* out) noexcept {
    const Gamma code(typical_log2(message.count, message.range.length));
    return decode_gaps(code, message, out);
}

Status decode_delta(Encoded message, std::uint32_t* out) noexcept {
    const Delta code(typical_log2(message.count, message.range.length));
    return decode_gaps(code, message, out);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
