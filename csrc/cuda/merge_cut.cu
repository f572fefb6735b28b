// What comes before merging: the check of chunks, 4 bytes per index, and the places where tiles
// begin (see merge.cu).
#include "merge_group.h"
#include "queue.h"
#include "search.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kCheckOwn = 4;
constexpr unsigned kCheckTile = kThreads * kCheckOwn;

// A piece of work is a block.
__global__ void __launch_bounds__(kThreads) check_kernel(Group group, SetResult* result) {
    const unsigned owner = group.owner_of(blockIdx.x);
    const std::uint32_t* const indices = group.chunks[owner].indices;
    const std::uint64_t count = group.chunks[owner].count;
    const std::uint64_t begin = (blockIdx.x - group.first[owner]) * kCheckTile + threadIdx.x;
    bool wrong = false;
    for (unsigned j = 0; j < kCheckOwn; ++j) {
        const std::uint64_t i = begin + j * kThreads;
        wrong |= i + 1 < count && indices[i] >= indices[i + 1];
    }
    if (wrong) {
        atomicOr(&result->faults, kNotIncreasing);
    }
}

// A piece of work is a sample; 2^log_lanes threads, one for each chunk, rank it.
__global__ void __launch_bounds__(kThreads)
    cut_kernel(Group group, unsigned log_lanes, Cuts cuts, const SetResult* result) {
    if (result->faults != 0) {
        return;
    }
    const std::uint64_t thread = std::uint64_t{blockIdx.x} * kThreads + threadIdx.x;
    const std::uint64_t sample = thread >> log_lanes;
    const unsigned chunk = threadIdx.x & ((1U << log_lanes) - 1);
    const bool valid = sample < group.first[group.ways];
    std::uint64_t place = 0;
    if (valid && chunk < group.ways) {
        const unsigned owner = group.owner_of(sample);
        const std::uint64_t own = (sample - group.first[owner]) * group.spacing;
        // Entries of one index are in chunk order.
        place = chunk == owner
                    ? own
                    : find_place(group.chunks[chunk].indices, {0, group.chunks[chunk].count},
                                 group.chunks[owner].indices[own], chunk < owner);
        cuts.places[sample * group.ways + chunk] = place;
    }
    std::uint64_t rank = place;
    for (unsigned distance = 1; distance < 1U << log_lanes; distance *= 2) {
        rank += __shfl_xor_sync(kFullWarp, rank, static_cast<int>(distance));
    }
    if (valid && chunk == 0) {
        atomicMax(cuts.begins + rank / kTile,
                  static_cast<unsigned long long>((kTile - rank % kTile) << kNumberBits | sample));
    }
}

// Numbers the work on the chunks: `of_piece` of a chunk's entries are a piece.
void number_work(Group& group, std::uint64_t of_piece) noexcept {
    group.first[0] = 0;
    for (unsigned chunk = 0; chunk < group.ways; ++chunk) {
        group.first[chunk + 1] =
            group.first[chunk] + (group.chunks[chunk].count + of_piece - 1) / of_piece;
    }
}

}  // namespace

Group group_of(const Chunk* chunks, unsigned ways) noexcept {
    Group group{};
    group.ways = ways;
    group.spacing = kSlack / ways;
    for (unsigned chunk = 0; chunk < ways; ++chunk) {
        group.chunks[chunk] = chunks[chunk];
    }
    number_work(group, group.spacing);
    return group;
}

void enqueue_check_chunks(const Group& group, SetResult* result) noexcept {
    Group blocks = group;
    number_work(blocks, kCheckTile);
    launch(static_cast<unsigned>(blocks.first[blocks.ways]), kThreads, check_kernel, blocks,
           result);
}

void enqueue_cut(const Group& group, Cuts cuts, const SetResult* result) noexcept {
    unsigned log_lanes = 0;
    while (1U << log_lanes < group.ways) {
        ++log_lanes;
    }
    launch(blocks_for(group.first[group.ways] << log_lanes, kThreads), kThreads, cut_kernel, group,
           log_lanes, cuts, result);
}

}  // namespace cuda
}  // namespace gradwire
