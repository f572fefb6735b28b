// The same subset that one thread would draw, drawn by all at once. As long as m positions are to
// be marked, the next m draws are all needed, whatever they hit: each marks one position at most.
// So a round makes as many draws as are still to be marked, in any order, and counts what was new.
// Every round leaves at most about half of them. The host knows about how many rounds are worth a
// grid; one block makes the rest.
//
// A bit per position is set, by an atomic for each draw; then the bitmap is read once, and its set
// bits become sorted indices: n / 8 bytes, and 4 per index.
#include "lookback.h"
#include "queue.h"
#include "random_indices.h"
#include "reduce.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr std::uint64_t kWordBits = 64;
constexpr unsigned kMostRounds = 64;      // of grids
constexpr unsigned kDrawsOfBlock = 8192;  // as many are left to one block
constexpr unsigned kFinishThreads = 1024;
constexpr unsigned kBlocksOfProcessor = 8;

// In device memory, zeroed before.
struct Progress {
    unsigned long long fresh[kMostRounds];  // positions that each round marked
    std::uint32_t ticket;
};

struct Draws {
    std::uint64_t n;
    std::uint64_t wanted;
    RandomKey random;
    const std::uint32_t* step;
    unsigned long long* bitmap;
};

// Draws from `first` on, as many as positions are still to be marked.
struct Round {
    std::uint64_t first;
    std::uint64_t count;
};

GRADWIRE_DEVICE Round begin_round(const Draws& draws, const Progress* progress, unsigned number) {
    Round round{0, draws.wanted};
    for (unsigned r = 0; r < number; ++r) {
        round.first += round.count;
        round.count -= __ldcg(&progress->fresh[r]);
    }
    return round;
}

GRADWIRE_DEVICE RandomKey key_of(const Draws& draws) {
    RandomKey random = draws.random;
    random.step = draws.step != nullptr ? *draws.step : random.step;
    return random;
}

// Makes this thread's part of the draws, thread number `thread` of so many; returns how many
// positions it was the first to mark.
GRADWIRE_DEVICE std::uint32_t mark(const Draws& draws, RandomKey random, Round round,
                                   std::uint64_t thread, std::uint64_t threads) {
    std::uint32_t fresh = 0;
    const std::uint64_t end = round.first + round.count;
    for (std::uint64_t block = round.first / 2 + thread; 2 * block < end; block += threads) {
        const auto places = drawn_positions(random, block, draws.n);
        for (unsigned half = 0; half < 2; ++half) {
            const std::uint64_t draw = 2 * block + half;
            if (draw >= round.first && draw < end) {
                const std::uint64_t place = half == 0 ? places[0] : places[1];
                const unsigned long long bit = 1ULL << (place % kWordBits);
                fresh += (atomicOr(draws.bitmap + place / kWordBits, bit) & bit) == 0 ? 1 : 0;
            }
        }
    }
    return fresh;
}

__global__ void __launch_bounds__(kThreads)
    mark_kernel(Draws draws, Progress* progress, unsigned number) {
    const Round round = begin_round(draws, progress, number);
    const std::uint32_t fresh =
        mark(draws, key_of(draws), round, std::uint64_t{blockIdx.x} * kThreads + threadIdx.x,
             std::uint64_t{gridDim.x} * kThreads);
    const std::uint32_t all = block_sum_so_far(fresh).all;
    if (threadIdx.x == 0 && all != 0) {
        atomicAdd(&progress->fresh[number], static_cast<unsigned long long>(all));
    }
}

__global__ void __launch_bounds__(kFinishThreads)
    finish_kernel(Draws draws, const Progress* progress, unsigned number) {
    const RandomKey random = key_of(draws);
    Round round = begin_round(draws, progress, number);
    while (round.count != 0) {
        const std::uint32_t fresh = mark(draws, random, round, threadIdx.x, blockDim.x);
        round.first += round.count;
        round.count -= block_sum_so_far(fresh).all;
    }
}

// Writes the first k positions whose bit, after `flip`, is set; a thread has `run` words. Positions
// behind n, in the last word, are never among them.
__global__ void __launch_bounds__(kThreads)
    list_kernel(const std::uint64_t* bitmap, std::uint64_t words, unsigned run, std::uint64_t flip,
                std::uint64_t k, Lookback look, std::uint32_t* out) {
    GRADWIRE_SHARED(LookbackRoom, room);
    const std::uint32_t tile = next_tile(room, look);
    const std::uint64_t begin = (std::uint64_t{tile} * blockDim.x + threadIdx.x) * run;
    const std::uint64_t end = begin + run < words ? begin + run : words;
    std::uint32_t count = 0;
    for (std::uint64_t w = begin; w < end; ++w) {
        count += static_cast<std::uint32_t>(__popcll(bitmap[w] ^ flip));
    }
    const std::uint32_t so_far = warp_sum_so_far(count);
    const std::uint32_t of_warp = __shfl_sync(kFullWarp, so_far, static_cast<int>(kWarp - 1));
    std::uint64_t at = sums_before(room, look, tile, of_warp).before + so_far - count;
    for (std::uint64_t w = begin; count != 0 && w < end; ++w) {
        for (std::uint64_t word = bitmap[w] ^ flip; word != 0 && at < k; word &= word - 1) {
            const std::uint64_t lowest = word & (~word + 1);
            const auto bit = 63 - __clzll(static_cast<long long>(lowest));
            out[at] = static_cast<std::uint32_t>(w * kWordBits + static_cast<unsigned>(bit));
            ++at;
        }
    }
}

// Rounds that leave more draws than one block should make, if draws hit what they hit on average.
unsigned grid_rounds(std::uint64_t n, std::uint64_t wanted) noexcept {
    const auto positions = static_cast<double>(n);
    auto left = static_cast<double>(wanted);
    double marked = 0;
    unsigned rounds = 0;
    while (left > kDrawsOfBlock && rounds < kMostRounds) {
        const double fresh = left * (1 - (marked + left / 2) / positions);
        marked += fresh;
        left -= fresh;
        ++rounds;
    }
    return rounds;
}

// Threads of a block that has work for so many: few are soon together.
unsigned threads_for(std::uint64_t work, unsigned most) noexcept {
    return work < most ? blocks_for(work, kWarp) * kWarp : most;
}

// How the bitmap is divided.
struct Listing {
    unsigned threads;  // of a block
    unsigned run;      // words of a thread
    unsigned blocks;
};

Listing listing_of(std::uint64_t n) noexcept {
    constexpr unsigned kLongestRun = 64;
    const std::uint64_t words = random_indices_words(n);
    const std::uint64_t fair =
        words / (std::uint64_t{kBlocksOfProcessor} * processors() * kThreads);
    const auto run = static_cast<unsigned>(fair < kLongestRun ? fair + 1 : kLongestRun);
    const unsigned threads = threads_for(words, kThreads);
    return {threads, run, words == 0 ? 0 : blocks_for(words, std::uint64_t{threads} * run)};
}

}  // namespace

// For as many blocks as the shortest runs would need: whoever asks may not have chosen a device
// yet.
std::uint64_t random_indices_workspace(std::uint64_t n) noexcept {
    return sizeof(Progress) + blocks_for(random_indices_words(n), kThreads) * sizeof(std::uint64_t);
}

void enqueue_random_indices(std::uint64_t n, std::uint64_t k, RandomKey random,
                            const std::uint32_t* step, std::uint64_t* bitmap, void* workspace,
                            std::uint32_t* out) noexcept {
    const bool complement = k > n - k;
    const std::uint64_t wanted = complement ? n - k : k;
    auto* const progress = static_cast<Progress*>(workspace);
    auto* const words = reinterpret_cast<std::uint64_t*>(progress + 1);
    set_bytes(workspace, 0, random_indices_workspace(n));
    set_bytes(bitmap, 0, random_indices_words(n) * sizeof *bitmap);
    const Draws draws{n, wanted, random, step, reinterpret_cast<unsigned long long*>(bitmap)};
    const unsigned rounds = grid_rounds(n, wanted);
    const unsigned most = kBlocksOfProcessor * processors();
    for (unsigned round = 0; round < rounds; ++round) {
        const unsigned blocks = blocks_for(wanted >> (round < 32 ? round : 32), 2 * kThreads);
        launch(blocks < most ? blocks : most, kThreads, mark_kernel, draws, progress, round);
    }
    launch(wanted != 0 ? 1 : 0, threads_for(wanted, kFinishThreads), finish_kernel, draws, progress,
           rounds);
    const Listing listing = listing_of(n);
    launch(k != 0 ? listing.blocks : 0, listing.threads, list_kernel,
           static_cast<const std::uint64_t*>(bitmap), random_indices_words(n), listing.run,
           complement ? ~std::uint64_t{0} : 0, k, Lookback{words, &progress->ticket, 1}, out);
}

void random_indices(std::uint64_t n, std::uint64_t k, RandomKey random, std::uint64_t* bitmap,
                    std::uint32_t* out) noexcept {
    const Scratch scratch(random_indices_workspace(n));
    enqueue_random_indices(n, k, random, nullptr, bitmap, scratch.as<char>(), out);
}

}  // namespace cuda
}  // namespace gradwire
