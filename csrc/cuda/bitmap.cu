// Bitmaps. The encoder gives each block 4 KB of the bitmap, which it puts together in its own
// memory from the indices that belong there: 4 bytes per index read once more after the check, one
// bit per position written. The decoder reads the bitmap twice, mostly from the cache the second
// time: blocks count their bits, the counts are added up, and the blocks write their indices, in
// runs, 4 bytes each.
#include "gradwire/gap_symbols.h"
#include "index_codecs.h"
#include "index_search.h"
#include "running_sums.h"
#include "wire_words.h"

namespace gradwire {
inline namespace cuda {
namespace {

// ---- encoder ----

constexpr unsigned kEncodedBits = 32768;  // of a block
constexpr unsigned kEncodedBytes = kEncodedBits / 8;

__global__ void __launch_bounds__(kThreads)
    encode_bitmap_kernel(Places places, std::uint8_t* out, const IndexOutcome* outcome) {
    struct Room {
        std::uint32_t words[kEncodedBits / 32 + 1];
        std::uint64_t bounds[2];
    };
    GRADWIRE_SHARED(Room, room);
    if (outcome->trouble != kNoTrouble) {
        return;
    }
    const std::uint64_t first = std::uint64_t{blockIdx.x} * kEncodedBits;
    std::uint8_t* const own_out = out + first / 8;
    const unsigned skew = skew_of(own_out);
    for (unsigned w = threadIdx.x; w < kEncodedBits / 32 + 1; w += blockDim.x) {
        room.words[w] = 0;
    }
    if (warp() < 2) {
        const std::uint64_t bound = first_reaching(places, first + warp() * kEncodedBits);
        if (lane() == 0) {
            room.bounds[warp()] = bound;
        }
    }
    __syncthreads();
    for (std::uint64_t i = room.bounds[0] + threadIdx.x; i < room.bounds[1]; i += blockDim.x) {
        const std::uint64_t index = places.indices[i] - places.range.begin;
        const auto bit = static_cast<std::uint32_t>(index - first) + 8 * skew;
        atomicOr(&room.words[bit / 32], 1U << bit % 32);
    }
    __syncthreads();
    const std::uint64_t left = bytes_of(places.range.length) - first / 8;
    store_room(room.words, skew, own_out, left < kEncodedBytes ? left : kEncodedBytes);
}

// ---- decoder ----

constexpr unsigned kDecodedBits = 32 * kThreads;  // of a block: a word for each thread
constexpr unsigned kDecodedWords = kDecodedBits / 32;

// A warp for each block of the next kernel. The first one looks at the padding, too.
__global__ void __launch_bounds__(kThreads)
    count_bits_kernel(Encoded message, std::uint64_t tiles, std::uint32_t* counts,
                      IndexOutcome* outcome) {
    const WireWords words(message.data, message.bytes);
    const std::uint64_t tile = std::uint64_t{blockIdx.x} * (blockDim.x / kWarp) + warp();
    unsigned count = 0;
    for (unsigned w = lane(); w < kDecodedWords; w += kWarp) {
        count += static_cast<unsigned>(__popc(words.word(tile * kDecodedWords + w)));
    }
    for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
        count += __shfl_xor_sync(kFullWarp, count, static_cast<int>(distance));
    }
    if (lane() == 0 && tile < tiles) {
        counts[tile] = count;
    }
    const auto used = static_cast<unsigned>(message.range.length % 8);
    if (tile == 0 && lane() == 0 && used != 0 && message.data[message.bytes - 1] >> used != 0) {
        report(outcome, trouble_at(0, 0, Status::nonzero_padding));
    }
}

__global__ void __launch_bounds__(kThreads)
    decode_bitmap_kernel(Encoded message, std::uint64_t tiles, const std::uint64_t* before,
                         std::uint32_t* out, IndexOutcome* outcome) {
    struct Room {
        std::uint16_t places[kDecodedBits];  // in the tile, of the bits that are set
    };
    GRADWIRE_SHARED(Room, room);
    if (blockIdx.x == 0 && threadIdx.x == 0 && before[tiles] != message.count) {
        report(outcome, trouble_at(0, 1, Status::count_mismatch));
    }
    const WireWords words(message.data, message.bytes);
    const std::uint64_t tile = blockIdx.x;
    std::uint32_t bits = words.word(tile * kDecodedWords + threadIdx.x);
    const auto own = static_cast<std::uint32_t>(__popc(bits));
    const SumSoFar<std::uint32_t> sums = block_sum_so_far(own);
    for (std::uint32_t rank = sums.before; bits != 0; ++rank) {
        const auto bit = static_cast<unsigned>(__ffs(static_cast<int>(bits))) - 1;
        room.places[rank] = static_cast<std::uint16_t>(32 * threadIdx.x + bit);
        bits &= bits - 1;
    }
    __syncthreads();
    const std::uint64_t first = before[tile];
    const auto begin = static_cast<std::uint32_t>(message.range.begin + tile * kDecodedBits);
    for (std::uint32_t rank = threadIdx.x; rank < sums.all; rank += blockDim.x) {
        if (first + rank < message.count) {
            out[first + rank] = begin + room.places[rank];
        }
    }
}

std::uint64_t decoded_tiles(std::uint64_t length) noexcept {
    return (length + kDecodedBits - 1) / kDecodedBits;
}

}  // namespace

void encode_bitmap(const Places& places, std::uint8_t* out, IndexOutcome* outcome) noexcept {
    launch(blocks_for(places.range.length, kEncodedBits), kThreads, encode_bitmap_kernel, places,
           out, outcome);
}

std::uint64_t bitmap_workspace(std::uint64_t length) noexcept {
    const std::uint64_t tiles = decoded_tiles(length);
    return (tiles + 1) * sizeof(std::uint64_t) + tiles * sizeof(std::uint32_t);
}

void decode_bitmap(const Encoded& message, std::uint32_t* out, void* workspace,
                   IndexOutcome* outcome) noexcept {
    const std::uint64_t tiles = decoded_tiles(message.range.length);
    auto* const before = static_cast<std::uint64_t*>(workspace);
    auto* const counts = reinterpret_cast<std::uint32_t*>(before + tiles + 1);
    launch(blocks_for(tiles, kThreads / kWarp), kThreads, count_bits_kernel, message, tiles, counts,
           outcome);
    running_sums(Elements<std::uint32_t>{counts}, tiles, before);
    launch(static_cast<unsigned>(tiles), kThreads, decode_bitmap_kernel, message, tiles, before,
           out, outcome);
}

}  // namespace cuda
}  // namespace gradwire
