// What two sorted sets have in common. A warp has a run of elements of `a` and finds, by division,
// the range of `b` that it can have in common with it; then every lane bisects that range, which
// is in the cache by then. Look-back says where the matches go. 4 bytes for each element of `a`, as
// many for each of `b` that is looked at (all, where it is not much larger), 8 for each match; and
// 4 for each element of both for the check before.
#include "gradwire/merge.h"
#include "lookback.h"
#include "queue.h"
#include "search.h"
#include "sparse.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kOwn = 8;  // elements of a lane
constexpr unsigned kRun = kWarp * kOwn;
constexpr unsigned kTile = kThreads * kOwn;

struct Set {
    const std::uint32_t* elements;
    std::uint64_t count;
};

// Bit j: element j of this lane, begin + 32 j + lane, is in b, too. By a warp.
GRADWIRE_DEVICE unsigned matches(const Set& a, Range run, const Set& b, std::uint32_t* elements) {
    if (run.begin >= run.end) {
        return 0;
    }
    Range range{0, b.count};
    range.begin = warp_find_place(b.elements, range, a.elements[run.begin]);
    range.end = warp_find_place(b.elements, range, a.elements[run.end - 1], true);
    unsigned matched = 0;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kOwn; ++j) {
        const std::uint64_t i = run.begin + j * kWarp + lane();
        elements[j] = 0;
        if (i < run.end) {
            elements[j] = a.elements[i];
            const std::uint64_t place = find_place(b.elements, range, elements[j]);
            const bool same = place < range.end && b.elements[place] == elements[j];
            matched |= same ? 1U << j : 0;
        }
    }
    return matched;
}

__global__ void __launch_bounds__(kThreads)
    intersect_kernel(Set a, Set b, Common out, Lookback look, SetResult* result) {
    GRADWIRE_SHARED(LookbackRoom, room);
    if (result->faults != 0) {
        return;
    }
    const std::uint32_t tile = next_tile(room, look);
    const std::uint64_t begin = std::uint64_t{tile} * kTile + std::uint64_t{warp()} * kRun;
    const std::uint64_t end = begin + kRun < a.count ? begin + kRun : a.count;
    std::uint32_t elements[kOwn];
    const unsigned matched = matches(a, {begin, end}, b, elements);
    unsigned votes[kOwn];
    std::uint32_t of_warp = 0;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kOwn; ++j) {
        votes[j] = __ballot_sync(kFullWarp, static_cast<int>(matched >> j & 1U));
        of_warp += static_cast<std::uint32_t>(__popc(votes[j]));
    }
    const Sums sums = sums_before(room, look, tile, of_warp);
    std::uint64_t at = sums.before;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kOwn; ++j) {
        if ((matched >> j & 1U) != 0) {
            const auto earlier = __popc(votes[j] & ((1U << lane()) - 1));
            const std::uint64_t place = at + static_cast<unsigned>(earlier);
            out.elements[place] = elements[j];
            out.positions[place] = static_cast<std::uint32_t>(begin + j * kWarp + lane());
        }
        at += static_cast<unsigned>(__popc(votes[j]));
    }
    if (tile + 1 == gridDim.x && threadIdx.x == 0) {
        result->count = sums.through;
    }
}

}  // namespace

std::uint64_t intersect_workspace(std::uint64_t a_count) noexcept {
    return (blocks_for(a_count, kTile) + std::uint64_t{1}) * sizeof(std::uint64_t);
}

void enqueue_intersect(const std::uint32_t* a, std::uint64_t a_count, const std::uint32_t* b,
                       std::uint64_t b_count, Common out, void* workspace,
                       SetResult* result) noexcept {
    set_bytes(result, 0, sizeof *result);
    set_bytes(workspace, 0, intersect_workspace(a_count));
    enqueue_find_faults(a, a_count, ~std::uint64_t{0}, &result->faults);
    enqueue_find_faults(b, b_count, ~std::uint64_t{0}, &result->faults);
    auto* const words = static_cast<std::uint64_t*>(workspace);
    auto* const ticket = reinterpret_cast<std::uint32_t*>(words + blocks_for(a_count, kTile));
    launch(blocks_for(a_count, kTile), kThreads, intersect_kernel, Set{a, a_count}, Set{b, b_count},
           out, Lookback{words, ticket, 1}, result);
}

Status intersect(const std::uint32_t* a, std::uint64_t a_count, const std::uint32_t* b,
                 std::uint64_t b_count, Common out, std::uint64_t* written) noexcept {
    const std::uint64_t bytes = intersect_workspace(a_count);
    const Scratch scratch(bytes + sizeof(SetResult));
    auto* const result = scratch.as<SetResult>(bytes);
    enqueue_intersect(a, a_count, b, b_count, out, scratch.as<char>(), result);
    const SetResult found = fetch(result);
    *written = found.count;
    return status_of(found.faults);
}

}  // namespace cuda
}  // namespace gradwire
