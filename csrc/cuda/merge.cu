// The union of sorted chunks. Up to 16 chunks at a time are cut into tiles that have about as many
// entries each, whatever ranges of indices those cover: every so many entries of a chunk are a
// sample, its rank among all entries is found by bisection in every chunk, and the first sample
// from each multiple of the tile's size on begins a tile. A block merges a tile in its memory; a
// thread that has the first entry of an index adds up those that follow, in chunk order, and
// look-back says where the sums go.
//
// More chunks are first merged into fewer, in the same way but with nothing added up: equal indices
// stay side by side, in chunk order. So sums are the same for any number of chunks.
//
// 16 bytes per entry, 4 for the check before, P^2 / 128 for the places where tiles begin; with more
// than 16 chunks 16 more for each entry that is merged once more.
#include <vector>

#include "gradwire/merge.h"
#include "lookback.h"
#include "merge_group.h"
#include "queue.h"

namespace gradwire {
inline namespace cuda {
namespace {

// ---- nothing is added up ----

// `out` has room for all entries; they go where their ranks say.
__global__ void __launch_bounds__(kMergeThreads, 2)
    join_kernel(Group group, Cuts cuts, Entries out, const SetResult* result) {
    GRADWIRE_SHARED(MergeRoom, room);
    GRADWIRE_SHARED(TileRoom, about);
    if (result->faults != 0) {
        return;
    }
    const Tile tile = open_tile(room, about, group, cuts, blockIdx.x);
    load_tile(room, about, group, tile.total);
    merge_runs(room, group.ways, tile.total);
    for (std::uint32_t e = threadIdx.x; e < tile.total; e += kMergeThreads) {
        out.indices[tile.rank + e] = room.indices[e];
        out.values[tile.rank + e] = room.values[e];
    }
}

// ---- sums ----

// Whether a tile before has entries of the index that this one begins with.
GRADWIRE_DEVICE bool begun_before(const TileRoom& about, unsigned ways, std::uint32_t index) {
    bool begun = false;
    for (unsigned chunk = 0; chunk < ways; ++chunk) {
        begun |= about.has_before[chunk] && about.index_before[chunk] == index;
    }
    return begun;
}

// Adds what later tiles have of the index that this one ends with.
GRADWIRE_DEVICE float add_behind(const Group& group, const TileRoom& about, std::uint32_t index,
                                 float sum) {
    for (unsigned chunk = 0; chunk < group.ways; ++chunk) {
        if (about.has_behind[chunk] && about.index_behind[chunk] == index) {
            const Chunk& from = group.chunks[chunk];
            for (std::uint64_t i = about.end[chunk]; i < from.count && from.indices[i] == index;
                 ++i) {
                sum = sum + from.values[i];
            }
        }
    }
    return sum;
}

// The sum that begins with entry e of the merged tile.
GRADWIRE_DEVICE float sum_from(const MergeRoom& room, const TileRoom& about, const Group& group,
                               std::uint32_t total, std::uint32_t e) {
    const std::uint32_t index = room.indices[e];
    float sum = room.values[e];
    for (++e; e < total && room.indices[e] == index; ++e) {
        sum = sum + room.values[e];
    }
    return e < total ? sum : add_behind(group, about, index, sum);
}

__global__ void __launch_bounds__(kMergeThreads, 2)
    sum_kernel(Group group, Cuts cuts, Entries out, Lookback look, SetResult* result) {
    GRADWIRE_SHARED(MergeRoom, room);
    GRADWIRE_SHARED(TileRoom, about);
    GRADWIRE_SHARED(LookbackRoom, sums_room);
    if (result->faults != 0) {
        return;
    }
    const std::uint32_t number = next_tile(sums_room, look);
    const std::uint32_t total = open_tile(room, about, group, cuts, number).total;
    load_tile(room, about, group, total);
    merge_runs(room, group.ways, total);
    std::uint32_t indices[kMergeOwn];
    float sums[kMergeOwn];
    std::uint32_t heads = 0;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kMergeOwn; ++j) {
        const std::uint32_t e = threadIdx.x * kMergeOwn + j;
        if (e < total) {
            indices[j] = room.indices[e];
            const bool head = e > 0 ? room.indices[e - 1] != indices[j]
                                    : !begun_before(about, group.ways, indices[j]);
            if (head) {
                sums[j] = sum_from(room, about, group, total, e);
                heads |= 1U << j;
            }
        }
    }
    const auto count = static_cast<std::uint32_t>(__popc(heads));
    const std::uint32_t so_far = warp_sum_so_far(count);
    const std::uint32_t of_warp = __shfl_sync(kFullWarp, so_far, static_cast<int>(kWarp - 1));
    const Sums before = sums_before(sums_room, look, number, of_warp);  // synchronises
    const std::uint64_t begin = sums_room.before;
    auto at = static_cast<std::uint32_t>(before.before - begin) + so_far - count;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kMergeOwn; ++j) {
        if ((heads >> j & 1U) != 0) {
            room.indices[at] = indices[j];
            room.values[at] = sums[j];
            ++at;
        }
    }
    __syncthreads();
    const std::uint64_t room_left = begin < out.capacity ? out.capacity - begin : 0;
    const std::uint64_t written =
        before.through - begin < room_left ? before.through - begin : room_left;
    for (std::uint32_t e = threadIdx.x; e < written; e += kMergeThreads) {
        out.indices[begin + e] = room.indices[e];
        out.values[begin + e] = room.values[e];
    }
    if (number + 1 == gridDim.x && threadIdx.x == 0) {
        result->count = before.through;
    }
}

// ---- the host's part ----

struct Layout {
    std::uint64_t places;    // for the cuts of a group; what is zeroed comes before
    std::uint64_t lists[2];  // of entries, indices before values
    std::uint64_t bytes;
};

// `total`: entries of all chunks.
Layout layout_of(std::uint64_t chunk_count, std::uint64_t total) noexcept {
    const std::uint64_t ways = chunk_count < kWays ? chunk_count : kWays;
    const std::uint64_t samples = ways == 0 ? 0 : total / (kSlack / ways) + ways;
    const std::uint64_t list =
        chunk_count <= kWays ? 0 : total * (sizeof(std::uint32_t) + sizeof(float));
    Layout layout{};
    layout.places = (2 * std::uint64_t{blocks_for(total, kTile)} + 1) * sizeof(std::uint64_t);
    layout.lists[0] = layout.places + samples * ways * sizeof(std::uint64_t);
    layout.lists[1] = layout.lists[0] + list;
    layout.bytes = layout.lists[1] + list;
    return layout;
}

class Merge {
  public:
    Merge(void* workspace, Layout layout, std::uint64_t total, SetResult* result) noexcept
        : memory_(static_cast<char*>(workspace)), layout_(layout), total_(total), result_(result) {}

    // Merges groups of chunks; returns 16 chunks, or a sixteenth of how many there were. The last
    // ones stay as they are if that is enough.
    std::vector<Chunk> fewer(const std::vector<Chunk>& chunks, unsigned level) noexcept {
        const Entries list = list_of(level);
        const bool last = chunks.size() <= std::uint64_t{kWays} * kWays;
        std::uint64_t excess = chunks.size() - kWays;
        std::uint64_t place = 0;
        std::vector<Chunk> merged;
        for (std::uint64_t i = 0; i < chunks.size();) {
            std::uint64_t ways = chunks.size() - i < kWays ? chunks.size() - i : kWays;
            ways = last && excess + 1 < ways ? excess + 1 : ways;
            if (last && ways == 1) {
                merged.push_back(chunks[i]);
            } else {
                const Entries out{list.indices + place, list.values + place, total_ - place};
                const std::uint64_t count =
                    join(group_of(&chunks[i], static_cast<unsigned>(ways)), out);
                merged.push_back({out.indices, out.values, count});
                place += count;
                excess -= ways - 1;
            }
            i += ways;
        }
        return merged;
    }

    void add_up(const std::vector<Chunk>& chunks, Entries out) noexcept {
        const Group group = group_of(chunks.data(), static_cast<unsigned>(chunks.size()));
        const unsigned tiles = tiles_of(group);
        const Cuts cuts = cut(group, tiles);
        auto* const words = reinterpret_cast<std::uint64_t*>(memory_) + tiles;
        const Lookback look{words, reinterpret_cast<std::uint32_t*>(words + tiles), 1};
        launch(tiles, kMergeThreads, sum_kernel, group, cuts, out, look, result_);
    }

  private:
    static std::uint64_t total_of(const Group& group) noexcept {
        std::uint64_t total = 0;
        for (unsigned chunk = 0; chunk < group.ways; ++chunk) {
            total += group.chunks[chunk].count;
        }
        return total;
    }

    static unsigned tiles_of(const Group& group) noexcept {
        return blocks_for(total_of(group), kTile);
    }

    Entries list_of(unsigned level) const noexcept {
        auto* const indices = reinterpret_cast<std::uint32_t*>(memory_ + layout_.lists[level % 2]);
        return {indices, reinterpret_cast<float*>(indices + total_), total_};
    }

    Cuts cut(const Group& group, unsigned tiles) noexcept {
        set_bytes(memory_, 0, (2 * std::uint64_t{tiles} + 1) * sizeof(std::uint64_t));
        const Cuts cuts{reinterpret_cast<unsigned long long*>(memory_),
                        reinterpret_cast<std::uint64_t*>(memory_ + layout_.places)};
        enqueue_cut(group, cuts, result_);
        return cuts;
    }

    std::uint64_t join(const Group& group, Entries out) noexcept {
        const unsigned tiles = tiles_of(group);
        launch(tiles, kMergeThreads, join_kernel, group, cut(group, tiles), out,
               static_cast<const SetResult*>(result_));
        return total_of(group);
    }

    char* memory_;
    Layout layout_;
    std::uint64_t total_;
    SetResult* result_;
};

std::uint64_t total_of(const Chunk* chunks, std::uint64_t chunk_count) noexcept {
    std::uint64_t total = 0;
    for (std::uint64_t c = 0; c < chunk_count; ++c) {
        total += chunks[c].count;
    }
    return total;
}

}  // namespace

std::uint64_t merge_workspace(std::uint64_t chunk_count, std::uint64_t total) noexcept {
    return layout_of(chunk_count, total).bytes;
}

void enqueue_merge(const Chunk* chunks, std::uint64_t chunk_count, Entries out, void* workspace,
                   SetResult* result) noexcept {
    set_bytes(result, 0, sizeof *result);
    std::vector<Chunk> left;  // those that have something
    for (std::uint64_t c = 0; c < chunk_count; ++c) {
        if (chunks[c].count != 0) {
            left.push_back(chunks[c]);
        }
    }
    if (left.empty()) {
        return;
    }
    for (std::uint64_t c = 0; c < left.size(); c += kWays) {
        const std::uint64_t ways = left.size() - c < kWays ? left.size() - c : kWays;
        enqueue_check_chunks(group_of(&left[c], static_cast<unsigned>(ways)), result);
    }
    const std::uint64_t total = total_of(chunks, chunk_count);
    Merge merge(workspace, layout_of(left.size(), total), total, result);
    for (unsigned level = 0; left.size() > kWays; ++level) {
        left = merge.fewer(left, level);
    }
    merge.add_up(left, out);
}

Status merge(const Chunk* chunks, std::uint64_t chunk_count, std::uint64_t*, Entries out,
             std::uint64_t* written) noexcept {
    const std::uint64_t bytes = merge_workspace(chunk_count, total_of(chunks, chunk_count));
    const Scratch scratch(bytes + sizeof(SetResult));
    auto* const result = scratch.as<SetResult>(bytes);
    enqueue_merge(chunks, chunk_count, out, scratch.as<char>(), result);
    const SetResult found = fetch(result);
    const bool fits = found.count <= out.capacity;
    *written = fits ? found.count : out.capacity;
    return found.faults != 0 ? status_of(found.faults)
                             : (fits ? Status::ok : Status::capacity_exceeded);
}

}  // namespace cuda
}  // namespace gradwire
