// Encoders of gaps: 8 bytes read per index, the message written once.
//
// A block has 1024 indices, those that share a parameter of Rice code. One kernel checks the
// indices and counts the bits of each block; the counts are added up; then each block puts its bits
// together in its own memory and writes the bytes that begin with it. A byte that two blocks share
// is the second one's: it looks at the last seven indices of the first one again, which have at
// least a bit each.
#include "gradwire/gap_symbols.h"
#include "index_codecs.h"
#include "running_sums.h"
#include "vectors.h"
#include "wire_words.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kGaps = kThreads * kQuad;  // of a block
static_assert(kGaps == kRiceBlock);

// All gaps + 1 of a block add up to at most 2^32, so their logarithms to at most 1024 * 22. A gap
// takes 2 log + 1 bits at most in gamma code, fewer in delta code, and r + 3 <= 25 in Rice code on
// average.
constexpr unsigned kMostBits = kGaps * 45;
constexpr unsigned kCarriedBits = 8 * 4;  // before the block's own, in the word that it begins in

struct RoomOfBits {
    std::uint32_t words[(kCarriedBits + kMostBits) / 32 + 3];
};

template <IndexCodec codec>
constexpr unsigned kHeaderBits = codec == IndexCodec::rice ? kParameterBits : 0;  // of a block

template <IndexCodec codec>
GRADWIRE_DEVICE auto code_of_block(unsigned r, std::uint64_t length) {
    if constexpr (codec == IndexCodec::rice) {
        return Rice(r, length);
    } else if constexpr (codec == IndexCodec::elias_gamma) {
        return Gamma(0);
    } else {
        return Delta(0);
    }
}

GRADWIRE_DEVICE std::uint64_t end_of_block(const Places& places, std::uint64_t first) {
    return first + kGaps < places.count ? first + kGaps : places.count;
}

// What index i is at least: 2^32 becomes 0.
GRADWIRE_DEVICE std::uint32_t least_of(const Places& places, std::uint64_t i) {
    return i == 0 ? places.range.begin : places.indices[i - 1] + 1;
}

// The parameter of the block that begins with index `first`. Indices that are not in order have
// one, too.
template <IndexCodec codec>
GRADWIRE_DEVICE unsigned parameter_of_block(const Places& places, std::uint64_t first) {
    if constexpr (codec == IndexCodec::rice) {
        const std::uint64_t end = end_of_block(places, first);
        const std::uint64_t span =
            std::uint64_t{places.indices[end - 1] - least_of(places, first)} + 1;
        return parameter_of_gaps(end - first, span - (end - first)) % 32;
    } else {
        return 0;
    }
}

GRADWIRE_DEVICE std::uint32_t bits_of(const Symbol& symbol) {
    return static_cast<std::uint32_t>(symbol.zeros + 1 + symbol.field_bits);
}

// Four successive gaps of a thread; those behind the end are 0.
struct Gaps {
    std::uint32_t at[kQuad];
    unsigned number;  // that are there
};

GRADWIRE_DEVICE Gaps gaps_from(const Places& places, std::uint64_t i) {
    const Quad<std::uint32_t> own = load_quad(places.indices, i, places.count);
    Gaps gaps{};
    std::uint32_t least = i < places.count ? least_of(places, i) : 0;
    for (unsigned j = 0; j < kQuad; ++j) {
        if (i + j < places.count) {
            gaps.at[j] = own.at[j] - least;
            least = own.at[j] + 1;
            ++gaps.number;
        }
    }
    return gaps;
}

template <typename Code>
GRADWIRE_DEVICE std::uint32_t bits_of(const Code& code, const Gaps& gaps) {
    std::uint32_t bits = 0;
    for (unsigned j = 0; j < kQuad; ++j) {
        bits += j < gaps.number ? bits_of(code.symbol(gaps.at[j])) : 0;
    }
    return bits;
}

// What the check wants to know. An index that does not rise has a gap as if it went around 2^32.
GRADWIRE_DEVICE unsigned long long trouble_of_quad(const Places& places, std::uint64_t i,
                                                   const Gaps& gaps) {
    std::uint32_t before = i > 0 && gaps.number > 0 ? places.indices[i - 1] : 0;
    unsigned long long trouble = kNoTrouble;
    std::uint32_t least = i == 0 ? places.range.begin : before + 1;
    for (unsigned j = 0; j < kQuad; ++j) {
        const std::uint32_t index = least + gaps.at[j];
        const auto here =
            j < gaps.number ? trouble_of_place(places, i + j, before, index) : kNoTrouble;
        trouble = here < trouble ? here : trouble;
        before = index;
        least = index + 1;
    }
    return trouble;
}

template <IndexCodec codec>
__global__ void __launch_bounds__(kThreads)
    count_bits_kernel(Places places, std::uint32_t* sizes, IndexOutcome* outcome) {
    const std::uint64_t first = std::uint64_t{blockIdx.x} * kGaps;
    const std::uint64_t i = first + threadIdx.x * kQuad;
    const auto code =
        code_of_block<codec>(parameter_of_block<codec>(places, first), places.range.length);
    const Gaps gaps = gaps_from(places, i);
    report_of_warp(outcome, trouble_of_quad(places, i, gaps));
    const SumSoFar<std::uint32_t> sums = block_sum_so_far(bits_of(code, gaps));
    if (threadIdx.x == 0) {
        sizes[blockIdx.x] = kHeaderBits<codec> + sums.all;
    }
}

// The room has zeros there.
GRADWIRE_DEVICE void put_bits(RoomOfBits& room, std::uint32_t position, std::uint64_t value) {
    const std::uint32_t word = position / 32, shift = position % 32;
    const std::uint64_t low = value << shift;
    if (static_cast<std::uint32_t>(low) != 0) {
        atomicOr(&room.words[word], static_cast<std::uint32_t>(low));
    }
    if (low >> 32 != 0) {
        atomicOr(&room.words[word + 1], static_cast<std::uint32_t>(low >> 32));
    }
    const std::uint64_t high = shift == 0 ? 0 : value >> (64 - shift);
    if (high != 0) {
        atomicOr(&room.words[word + 2], static_cast<std::uint32_t>(high));
    }
}

template <typename Code>
GRADWIRE_DEVICE void put_gaps(RoomOfBits& room, const Code& code, const Gaps& gaps,
                              std::uint32_t position) {
    for (unsigned j = 0; j < kQuad; ++j) {
        if (j < gaps.number) {
            const Symbol symbol = code.symbol(gaps.at[j]);
            const auto zeros = static_cast<std::uint32_t>(symbol.zeros);
            put_bits(room, position + zeros, 1 | symbol.field << 1);
            position += bits_of(symbol);
        }
    }
}

// By a warp: the last `wanted` < 8 bits of the block before the one that begins with `first`.
template <IndexCodec codec>
GRADWIRE_DEVICE std::uint32_t bits_before(const Places& places, std::uint64_t first,
                                          unsigned wanted) {
    const auto code =
        code_of_block<codec>(parameter_of_block<codec>(places, first - kGaps), places.range.length);
    const std::uint64_t i = first - 1 - lane();  // backwards
    const bool near = lane() < 8;
    const Symbol symbol = near ? code.symbol(places.indices[i] - least_of(places, i)) : Symbol{};
    const std::uint32_t size = near ? bits_of(symbol) : 0;
    const std::uint32_t behind = warp_sum_so_far(size) - size;
    // Where the symbol's one is, if `wanted` bits end where the block does.
    const int one =
        static_cast<int>(wanted) - static_cast<int>(behind + size) + static_cast<int>(symbol.zeros);
    std::uint64_t bits = 1 | symbol.field << 1;
    bits = one >= 0 ? bits << (one & 63) : -one < 64 ? bits >> (-one & 63) : 0;
    auto own = static_cast<std::uint32_t>(near && behind < wanted ? bits : 0);
    for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
        own |= __shfl_xor_sync(kFullWarp, own, static_cast<int>(distance));
    }
    return own;
}

// Offsets are those of blocks, in bits; offsets[gridDim.x] is the end.
template <IndexCodec codec>
__global__ void __launch_bounds__(kThreads)
    put_bits_kernel(Places places, const std::uint64_t* offsets, std::uint8_t* out,
                    IndexOutcome* outcome) {
    GRADWIRE_SHARED(RoomOfBits, room);
    if (outcome->trouble != kNoTrouble) {
        return;
    }
    const std::uint64_t first = std::uint64_t{blockIdx.x} * kGaps;
    const unsigned r = parameter_of_block<codec>(places, first);
    const auto code = code_of_block<codec>(r, places.range.length);
    const Gaps gaps = gaps_from(places, first + threadIdx.x * kQuad);
    const SumSoFar<std::uint32_t> sums = block_sum_so_far(bits_of(code, gaps));
    const std::uint64_t begin = offsets[blockIdx.x], end = offsets[blockIdx.x + 1];
    std::uint8_t* const own_out = out + begin / 8;
    const unsigned skew = skew_of(own_out);
    const auto carried = static_cast<unsigned>(begin % 8);
    const unsigned header = 8 * skew + carried;  // where the room's first bit of this block is
    const std::uint32_t used = header + static_cast<std::uint32_t>(end - begin);
    for (unsigned w = threadIdx.x; w < used / 32 + 1; w += blockDim.x) {
        room.words[w] = 0;
    }
    __syncthreads();
    put_gaps(room, code, gaps, header + kHeaderBits<codec> + sums.before);
    if (threadIdx.x == 0 && kHeaderBits<codec> != 0) {
        put_bits(room, header, r);
    }
    if (warp() == 0 && carried != 0) {
        const std::uint32_t bits = bits_before<codec>(places, first, carried);
        if (lane() == 0) {
            put_bits(room, 8 * skew, bits);
        }
    }
    __syncthreads();
    const bool last = blockIdx.x == gridDim.x - 1;
    const std::uint64_t end_byte = last ? bytes_of(end) : end / 8;
    store_room(room.words, skew, own_out, end_byte - begin / 8);
    if (last && threadIdx.x == 0) {
        outcome->written = end_byte;
    }
}

template <IndexCodec codec>
void encode(const Places& places, std::uint8_t* out, void* workspace,
            IndexOutcome* outcome) noexcept {
    const unsigned blocks = blocks_for(places.count, kGaps);
    auto* const offsets = static_cast<std::uint64_t*>(workspace);
    auto* const sizes = reinterpret_cast<std::uint32_t*>(offsets + blocks + 1);
    const unsigned threads = threads_for(places.count, kQuad, kThreads);
    launch(blocks, threads, count_bits_kernel<codec>, places, sizes, outcome);
    running_sums(Elements<std::uint32_t>{sizes}, blocks, offsets);
    launch(blocks, threads, put_bits_kernel<codec>, places, offsets, out, outcome);
}

}  // namespace

std::uint64_t encode_gaps_workspace(std::uint64_t count) noexcept {
    const std::uint64_t blocks = blocks_for(count, kGaps);
    return (blocks + 1) * sizeof(std::uint64_t) + blocks * sizeof(std::uint32_t);
}

void encode_gaps(const Places& places, IndexCodec codec, std::uint8_t* out, void* workspace,
                 IndexOutcome* outcome) noexcept {
    if (codec == IndexCodec::rice) {
        encode<IndexCodec::rice>(places, out, workspace, outcome);
    } else if (codec == IndexCodec::elias_gamma) {
        encode<IndexCodec::elias_gamma>(places, out, workspace, outcome);
    } else {
        encode<IndexCodec::elias_delta>(places, out, workspace, outcome);
    }
}

}  // namespace cuda
}  // namespace gradwire
