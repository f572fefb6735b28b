// The codecs behind indices.h. Arguments were checked as far as the host can: decoders get
// count <= range.length and a number of bytes that a message can have. Encoders get indices that
// may be anything, and write nothing if the outcome says so.
#pragma once

#include <cstdint>

#include "gradwire/index_messages.h"
#include "indices.h"
#include "queue.h"
#include "simt.h"

namespace gradwire {
inline namespace cuda {

// They put what a message says, and what is wrong with it, into the outcome, which has been begun.

void encode_u32(const Places& places, std::uint8_t* out, IndexOutcome* outcome) noexcept;
void decode_u32(const Encoded& message, std::uint32_t* out, IndexOutcome* outcome) noexcept;

void encode_tile16(const Places& places, std::uint8_t* out, IndexOutcome* outcome) noexcept;
void decode_tile16(const Encoded& message, std::uint32_t* out, void* workspace,
                   IndexOutcome* outcome) noexcept;

void encode_bitmap(const Places& places, std::uint8_t* out, IndexOutcome* outcome) noexcept;
void decode_bitmap(const Encoded& message, std::uint32_t* out, void* workspace,
                   IndexOutcome* outcome) noexcept;

// rice, elias_gamma, elias_delta. The encoder checks the indices itself.
void encode_gaps(const Places& places, IndexCodec codec, std::uint8_t* out, void* workspace,
                 IndexOutcome* outcome) noexcept;
void decode_gaps(const Encoded& message, IndexCodec codec, std::uint32_t* out, void* workspace,
                 IndexOutcome* outcome) noexcept;

std::uint64_t tile16_workspace(std::uint64_t length) noexcept;
std::uint64_t bitmap_workspace(std::uint64_t length) noexcept;
std::uint64_t encode_gaps_workspace(std::uint64_t count) noexcept;
std::uint64_t decode_gaps_workspace(std::uint64_t count) noexcept;

// ---- trouble ----

GRADWIRE_DEVICE unsigned long long trouble_at(std::uint64_t place, unsigned order, Status status) {
    return ((place << kOrderBits | order) << kStatusBits) | static_cast<unsigned>(status);
}

GRADWIRE_DEVICE std::uint64_t place_of(unsigned long long trouble) {
    return trouble >> (kOrderBits + kStatusBits);
}

GRADWIRE_DEVICE unsigned order_of(unsigned long long trouble) {
    return static_cast<unsigned>(trouble >> kStatusBits) & ((1U << kOrderBits) - 1);
}

GRADWIRE_DEVICE void report(IndexOutcome* outcome, unsigned long long trouble) {
    if (trouble < __ldcg(&outcome->trouble)) {
        atomicMin(&outcome->trouble, trouble);
    }
}

// By whole warps: each lane has trouble or kNoTrouble.
GRADWIRE_DEVICE void report_of_warp(IndexOutcome* outcome, unsigned long long trouble) {
    if (__any_sync(kFullWarp, trouble != kNoTrouble) == 0) {
        return;
    }
    for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
        const auto other = __shfl_xor_sync(kFullWarp, trouble, static_cast<int>(distance));
        trouble = trouble < other ? trouble : other;
    }
    if (lane() == 0) {
        report(outcome, trouble);
    }
}

// What is wrong with index i, the one behind `before`. Indices that do not rise are reported before
// those outside the range, wherever they are.
GRADWIRE_DEVICE unsigned long long trouble_of_place(const Places& places, std::uint64_t i,
                                                    std::uint32_t before, std::uint32_t index) {
    if (i > 0 && index <= before) {
        return trouble_at(0, 0, Status::not_increasing);
    }
    if ((i == 0 && index < places.range.begin) ||
        (i == places.count - 1 && index - places.range.begin >= places.range.length)) {
        return trouble_at(1, 0, Status::index_out_of_range);
    }
    return kNoTrouble;
}

}  // namespace cuda
}  // namespace gradwire
