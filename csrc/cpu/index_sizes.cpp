// How long messages of indices are. Host code for every instruction set and for GPUs: it includes
// no lanes.
#include "gradwire/gap_symbols.h"
#include "gradwire/index_messages.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

EncodedSize u32_size(std::uint64_t count) noexcept {
    return {4 * count, 4 * count};
}

EncodedSize tile16_size(std::uint64_t count, std::uint64_t length) noexcept {
    const std::uint64_t size = 4 * tile_count(length) + 2 * count;
    return {size, size};
}

EncodedSize bitmap_size(std::uint64_t length) noexcept {
    return {bytes_of(length), bytes_of(length)};
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

// One bit per index at least, if indices follow one another.
EncodedSize gamma_size(std::uint64_t count, std::uint64_t length) noexcept {
    return {bytes_of(count), bytes_of(count + 2 * most_logs(count, length))};
}

EncodedSize delta_size(std::uint64_t count, std::uint64_t length) noexcept {
    return {bytes_of(count),
            bytes_of(count + most_logs(count, length) + 2 * most_logs_of_logs(count, length))};
}

EncodedSize size_of(std::uint64_t count, std::uint64_t length, IndexCodec codec) noexcept {
    switch (codec) {
        case IndexCodec::u32:
            return u32_size(count);
        case IndexCodec::tile16:
            return tile16_size(count, length);
        case IndexCodec::bitmap:
            return bitmap_size(length);
        case IndexCodec::rice:
            return rice_size(count, length);
        case IndexCodec::elias_gamma:
            return gamma_size(count, length);
        case IndexCodec::elias_delta:
            return delta_size(count, length);
    }
    return {0, 0};
}

bool fixed(IndexCodec codec) noexcept {
    return codec == IndexCodec::u32 || codec == IndexCodec::tile16;
}

}  // namespace

unsigned rice_parameter(std::uint64_t count, std::uint64_t length) noexcept {
    return count == 0 ? 0 : parameter_of_gaps(count, length - count);
}

EncodedSize encoded_size(std::uint64_t count, std::uint64_t length, IndexCodec codec) noexcept {
    // No range has more indices than places; such a count is refused where it is used.
    const std::uint64_t possible = fixed(codec) || count < length ? count : length;
    return size_of(possible, length, codec);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
