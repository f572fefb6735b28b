// Queued forms of the operations on wire forms of indices: they put work on the queue, wait for
// nothing, and leave what they find in device memory, for CUDA graphs and for callers who must not
// wait.
#pragma once

#include <cstdint>

#include "gradwire/indices.h"
#include "gradwire/isa.h"

namespace gradwire {
inline namespace cuda {

// In device memory, aligned to 8: what an operation has to say.
struct IndexOutcome {
    std::uint64_t written;       // bytes of an encoded message
    unsigned long long trouble;  // the first that there is in the order of places, or kNoTrouble
};

// A place, an order among what can be wrong there, and a Status in the lowest bits.
constexpr unsigned long long kNoTrouble = ~0ULL;
constexpr unsigned kStatusBits = 4;
constexpr unsigned kOrderBits = 2;

inline Status status_of(const IndexOutcome& outcome) noexcept {
    return outcome.trouble == kNoTrouble
               ? Status::ok
               : static_cast<Status>(outcome.trouble & ((1U << kStatusBits) - 1));
}

// Bytes of workspace, aligned to 8; `count` <= length for decoders.
std::uint64_t encode_indices_workspace(std::uint64_t count, IndexCodec codec) noexcept;
std::uint64_t decode_indices_workspace(std::uint64_t count, std::uint64_t length,
                                       IndexCodec codec) noexcept;

// As encode_indices: after trouble, nothing was written to out.
void enqueue_encode_indices(const std::uint32_t* indices, std::uint64_t count, IndexRange range,
                            IndexCodec codec, std::uint8_t* out, void* workspace,
                            IndexOutcome* outcome) noexcept;

// As decode_indices, after the number of bytes and `count` were found to be possible
// (possible_message).
void enqueue_decode_indices(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t count,
                            IndexRange range, IndexCodec codec, std::uint32_t* out, void* workspace,
                            IndexOutcome* outcome) noexcept;

// What decode_indices refuses before it looks at a byte.
Status possible_message(std::uint64_t bytes, std::uint64_t count, std::uint64_t length,
                        IndexCodec codec) noexcept;

}  // namespace cuda
}  // namespace gradwire
