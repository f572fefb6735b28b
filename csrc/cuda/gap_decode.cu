// Decoders of gaps: three passes.
//
//   locate   one block goes over the message and notes where every 1024th symbol begins: serial
//            from one group of 1024 to the next, for Rice code changes its parameter there, and
//            parallel inside (gap_walk.h), which at a mean gap of 100 leaves about 40 symbols to
//            read one after the other in each group. That is what the decoder costs, an estimated 2
//            us per 1024 indices; the other passes run on the whole GPU. Messages of one group need
//            none.
//   read     a block for each group reads its symbols again and writes indices relative to the
//            group's beginning
//   finish   what the groups before add up to is added: 8 bytes per index
//
// Wrong messages: whatever comes first in the order of indices is reported, as if they had been
// read one by one. Groups behind one that cannot be read do not begin anywhere.
#include "gap_walk.h"
#include "gradwire/gap_symbols.h"
#include "index_codecs.h"
#include "running_sums.h"
#include "vectors.h"
#include "wire_words.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr std::uint64_t kGroup = kRiceBlock;
// At least: leaves registers enough, which compilers would rather spill than not be asked.
constexpr unsigned kBlocksOfProcessor = 8;

// What can be wrong with one index, in this order.
constexpr unsigned kWithSymbol = 0;
constexpr unsigned kWithParameter = 1;

template <IndexCodec codec>
constexpr unsigned kHeaderBits = codec == IndexCodec::rice ? kParameterBits : 0;  // of a group

template <IndexCodec codec>
GRADWIRE_DEVICE unsigned parameter_at(BitCursor& bits, std::uint64_t position) {
    return codec == IndexCodec::rice
               ? static_cast<unsigned>(low_bits(bits.peek(position), kParameterBits))
               : 0;
}

// Elias codes have no parameter, but a logarithm that is typical of gaps.
template <IndexCodec codec>
GRADWIRE_DEVICE auto code_of_group(unsigned r, std::uint64_t length, unsigned typical) {
    if constexpr (codec == IndexCodec::rice) {
        return Rice(r, length);
    } else if constexpr (codec == IndexCodec::elias_gamma) {
        return Gamma(typical);
    } else {
        return Delta(typical);
    }
}

template <IndexCodec codec>
__global__ void __launch_bounds__(kWalkers)
    locate_kernel(Encoded message, unsigned typical, std::uint64_t groups, std::uint64_t* begins) {
    GRADWIRE_SHARED(WalkRoom, room);
    BitCursor bits(WireWords(message.data, message.bytes));
    std::uint64_t position = 0;
    for (std::uint64_t group = 0; group < groups; ++group) {
        if (threadIdx.x == 0) {
            begins[group] = position;
        }
        if (group == groups - 1 || position == kNowhere) {
            continue;
        }
        const auto code = code_of_group<codec>(parameter_at<codec>(bits, position),
                                               message.range.length, typical);
        const Walked walked =
            walk<false>(room, code, bits, position + kHeaderBits<codec>, kGroup, TakeNothing{});
        position = walked.status == Status::ok ? walked.end : kNowhere;
    }
}

GRADWIRE_DEVICE Status check_end(const Encoded& message, std::uint64_t end) {
    if (bytes_of(end) != message.bytes) {
        return Status::wrong_length;
    }
    const bool clean = end % 8 == 0 || message.data[message.bytes - 1] >> end % 8 == 0;
    return clean ? Status::ok : Status::nonzero_padding;
}

// What is wrong with a group whose symbols were looked at.
template <IndexCodec codec>
GRADWIRE_DEVICE unsigned long long trouble_of_group(const Encoded& message, std::uint64_t first,
                                                    const Walked& walked, unsigned r) {
    const std::uint64_t end = first + walked.count;
    if (walked.status != Status::ok) {
        return trouble_at(end, kWithSymbol, walked.status);
    }
    if (codec == IndexCodec::rice &&
        r != parameter_of_gaps(walked.count, walked.span - walked.count)) {
        return trouble_at(end - 1, kWithParameter, Status::wrong_parameter);
    }
    const Status status = end == message.count ? check_end(message, walked.end) : Status::ok;
    return status == Status::ok ? kNoTrouble : trouble_at(end, kWithSymbol, status);
}

template <IndexCodec codec>
__global__ void __launch_bounds__(kWalkers, kBlocksOfProcessor)
    read_kernel(Encoded message, unsigned typical, const std::uint64_t* begins,
                std::uint64_t* spans, std::uint32_t* out, IndexOutcome* outcome) {
    GRADWIRE_SHARED(WalkRoom, room);
    const std::uint64_t begin = begins[blockIdx.x];
    if (begin == kNowhere) {
        if (threadIdx.x == 0) {
            spans[blockIdx.x] = 0;
        }
        return;
    }
    const std::uint64_t first = blockIdx.x * kGroup;
    const std::uint64_t left = message.count - first;
    BitCursor bits(WireWords(message.data, message.bytes));
    const unsigned r = parameter_at<codec>(bits, begin);
    unsigned long long trouble = kNoTrouble;
    const Walked walked = walk<true>(
        room, code_of_group<codec>(r, message.range.length, typical), bits,
        begin + kHeaderBits<codec>, static_cast<std::uint32_t>(left < kGroup ? left : kGroup),
        [&](std::uint32_t number, std::uint64_t span) {
            out[first + number] = static_cast<std::uint32_t>(span - 1);
            if (span > message.range.length && trouble == kNoTrouble) {
                trouble = trouble_at(first + number, kWithSymbol, Status::index_out_of_range);
            }
        });
    if (threadIdx.x == 0) {
        spans[blockIdx.x] = walked.span;
        const auto of_group = trouble_of_group<codec>(message, first, walked, r);
        trouble = of_group < trouble ? of_group : trouble;
    }
    report_of_warp(outcome, trouble);
}

// Indices from where something else is wrong may not have been written.
__global__ void __launch_bounds__(kThreads)
    finish_kernel(Encoded message, const std::uint64_t* before, std::uint32_t* out,
                  IndexOutcome* outcome) {
    static_assert(kThreads * kQuad == kGroup);
    const unsigned long long earlier = __ldcg(&outcome->trouble);
    // An index that only has a wrong parameter behind it was read, and may be out of range before.
    const std::uint64_t end = place_of(earlier) + (order_of(earlier) == kWithParameter ? 1 : 0);
    const std::uint64_t i = own_quad();
    const std::uint64_t least = before[blockIdx.x];
    unsigned long long trouble = kNoTrouble;
    const std::uint64_t known = end < message.count ? end : message.count;
    Quad<std::uint32_t> quad = load_quad(out, i, known);
    for (unsigned j = 0; j < kQuad; ++j) {
        const std::uint64_t index = least + quad.at[j];
        if (i + j < known && index >= message.range.length && trouble == kNoTrouble) {
            trouble = trouble_at(i + j, kWithSymbol, Status::index_out_of_range);
        }
        quad.at[j] = message.range.begin + static_cast<std::uint32_t>(index);
    }
    if (i < known) {
        store_quad(out, i, known, quad);
    }
    report_of_warp(outcome, trouble);
}

template <IndexCodec codec>
void decode(const Encoded& message, std::uint32_t* out, void* workspace,
            IndexOutcome* outcome) noexcept {
    const unsigned groups = blocks_for(message.count, kGroup);
    if (groups == 0) {
        return;
    }
    const auto typical = static_cast<unsigned>(typical_log2(message.count, message.range.length));
    auto* const begins = static_cast<std::uint64_t*>(workspace);
    std::uint64_t* const spans = begins + groups;
    std::uint64_t* const before = spans + groups;
    launch(1, kWalkers, locate_kernel<codec>, message, typical, std::uint64_t{groups}, begins);
    launch(groups, kWalkers, read_kernel<codec>, message, typical, begins, spans, out, outcome);
    running_sums(Elements<std::uint64_t>{spans}, groups, before);
    launch(groups, kThreads, finish_kernel, message, before, out, outcome);
}

}  // namespace

std::uint64_t decode_gaps_workspace(std::uint64_t count) noexcept {
    const std::uint64_t groups = blocks_for(count, kGroup);
    return (3 * groups + 1) * sizeof(std::uint64_t);
}

void decode_gaps(const Encoded& message, IndexCodec codec, std::uint32_t* out, void* workspace,
                 IndexOutcome* outcome) noexcept {
    if (codec == IndexCodec::rice) {
        decode<IndexCodec::rice>(message, out, workspace, outcome);
    } else if (codec == IndexCodec::elias_gamma) {
        decode<IndexCodec::elias_gamma>(message, out, workspace, outcome);
    } else {
        decode<IndexCodec::elias_delta>(message, out, workspace, outcome);
    }
}

}  // namespace cuda
}  // namespace gradwire
