// Wire forms of indices. Encoders read the indices twice, once to check them before anything is
// written (8 bytes per index), and write the message once; decoders are described with their
// codecs.
//
// No block waits for another one: what depends on everything before (offsets of bits, numbers of
// indices) is counted by one kernel, added up by a block (running_sums.h), and used by the next.
#include "index_codecs.h"
#include "indices.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {
namespace {

__global__ void begin_kernel(std::uint64_t written, IndexOutcome* outcome) {
    if (threadIdx.x == 0) {
        *outcome = {written, kNoTrouble};
    }
}

// Four indices for each thread.
__global__ void __launch_bounds__(kThreads) check_kernel(Places places, IndexOutcome* outcome) {
    const std::uint64_t i = own_quad();
    const Quad<std::uint32_t> own = load_quad(places.indices, i, places.count);
    std::uint32_t before = i > 0 && i < places.count ? places.indices[i - 1] : 0;
    unsigned long long trouble = kNoTrouble;
    for (unsigned j = 0; j < kQuad; ++j) {
        if (i + j < places.count) {
            const auto here = trouble_of_place(places, i + j, before, own.at[j]);
            trouble = here < trouble ? here : trouble;
        }
        before = own.at[j];
    }
    report_of_warp(outcome, trouble);
}

bool of_gaps(IndexCodec codec) noexcept {
    return codec == IndexCodec::rice || codec == IndexCodec::elias_gamma ||
           codec == IndexCodec::elias_delta;
}

IndexOutcome run_encoder(const Places& places, IndexCodec codec, std::uint8_t* out) noexcept {
    const std::uint64_t workspace = encode_indices_workspace(places.count, codec);
    const Scratch scratch(sizeof(IndexOutcome) + workspace);
    auto* const outcome = scratch.as<IndexOutcome>();
    enqueue_encode_indices(places.indices, places.count, places.range, codec, out,
                           scratch.as<void>(sizeof(IndexOutcome)), outcome);
    return fetch(outcome);
}

}  // namespace

std::uint64_t encode_indices_workspace(std::uint64_t count, IndexCodec codec) noexcept {
    return of_gaps(codec) ? encode_gaps_workspace(count) : 0;
}

std::uint64_t decode_indices_workspace(std::uint64_t count, std::uint64_t length,
                                       IndexCodec codec) noexcept {
    switch (codec) {
        case IndexCodec::tile16:
            return tile16_workspace(length);
        case IndexCodec::bitmap:
            return bitmap_workspace(length);
        default:
            return of_gaps(codec) ? decode_gaps_workspace(count) : 0;
    }
}

void enqueue_encode_indices(const std::uint32_t* indices, std::uint64_t count, IndexRange range,
                            IndexCodec codec, std::uint8_t* out, void* workspace,
                            IndexOutcome* outcome) noexcept {
    const Places places{indices, count, range};
    const EncodedSize size = encoded_size(count, range.length, codec);
    launch(1, kWarp, begin_kernel, of_gaps(codec) ? 0 : size.max, outcome);
    if (of_gaps(codec)) {
        encode_gaps(places, codec, out, workspace, outcome);
        return;
    }
    launch(blocks_for(count, kThreads * kQuad), kThreads, check_kernel, places, outcome);
    if (codec == IndexCodec::u32) {
        encode_u32(places, out, outcome);
    } else if (codec == IndexCodec::tile16) {
        encode_tile16(places, out, outcome);
    } else {
        encode_bitmap(places, out, outcome);
    }
}

void enqueue_decode_indices(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t count,
                            IndexRange range, IndexCodec codec, std::uint32_t* out, void* workspace,
                            IndexOutcome* outcome) noexcept {
    const Encoded message{data, bytes, count, range};
    launch(1, kWarp, begin_kernel, std::uint64_t{0}, outcome);
    if (of_gaps(codec)) {
        decode_gaps(message, codec, out, workspace, outcome);
    } else if (codec == IndexCodec::u32) {
        decode_u32(message, out, outcome);
    } else if (codec == IndexCodec::tile16) {
        decode_tile16(message, out, workspace, outcome);
    } else {
        decode_bitmap(message, out, workspace, outcome);
    }
}

Status possible_message(std::uint64_t bytes, std::uint64_t count, std::uint64_t length,
                        IndexCodec codec) noexcept {
    const EncodedSize size = encoded_size(count, length, codec);
    if (bytes < size.min || bytes > size.max) {
        return Status::wrong_length;
    }
    return count > length ? Status::count_mismatch : Status::ok;
}

Status encode_indices(const std::uint32_t* indices, std::uint64_t count, IndexRange range,
                      IndexCodec codec, std::uint8_t* out, std::uint64_t* written) noexcept {
    const IndexOutcome outcome = run_encoder({indices, count, range}, codec, out);
    const Status status = status_of(outcome);
    if (status == Status::ok) {
        *written = outcome.written;
    }
    return status;
}

Status decode_indices(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t count,
                      IndexRange range, IndexCodec codec, std::uint32_t* out) noexcept {
    const Status possible = possible_message(bytes, count, range.length, codec);
    if (possible != Status::ok) {
        return possible;
    }
    const std::uint64_t workspace = decode_indices_workspace(count, range.length, codec);
    const Scratch scratch(sizeof(IndexOutcome) + workspace);
    auto* const outcome = scratch.as<IndexOutcome>();
    enqueue_decode_indices(data, bytes, count, range, codec, out,
                           scratch.as<void>(sizeof(IndexOutcome)), outcome);
    return status_of(fetch(outcome));
}

}  // namespace cuda
}  // namespace gradwire
