// Codecs with a fixed size for each index. Encoders: 4 bytes per index read once more after the
// check, 4 (u32) or 2 (tile16) written. Decoders: 4 or 2 bytes read, 4 written, in one pass, after
// tile16's counts have been added up by one block.
#include "index_codecs.h"
#include "index_search.h"
#include "running_sums.h"
#include "vectors.h"
#include "wire_words.h"

namespace gradwire {
inline namespace cuda {
namespace {

// ---- u32 ----

__global__ void __launch_bounds__(kThreads)
    encode_u32_kernel(Places places, std::uint8_t* out, const IndexOutcome* outcome) {
    const std::uint64_t i = own_quad();
    if (i >= places.count || outcome->trouble != kNoTrouble) {
        return;
    }
    Quad<std::uint32_t> quad = load_quad(places.indices, i, places.count);
    for (unsigned j = 0; j < kQuad; ++j) {
        quad.at[j] -= places.range.begin;
    }
    store_wire(out, i, places.count, quad);
}

// One index after `before` in a run of them that begins with `first`, and ends below `length`.
GRADWIRE_DEVICE unsigned long long trouble_of_index(std::uint64_t i, bool first,
                                                    std::uint32_t before, std::uint32_t index,
                                                    std::uint64_t length) {
    if (!first && index <= before) {
        return trouble_at(i, 0, Status::not_increasing);
    }
    return index >= length ? trouble_at(i, 0, Status::index_out_of_range) : kNoTrouble;
}

__global__ void __launch_bounds__(kThreads)
    decode_u32_kernel(Encoded message, std::uint32_t* out, IndexOutcome* outcome) {
    const std::uint64_t i = own_quad();
    Quad<std::uint32_t> quad = load_wire<std::uint32_t>(message.data, i, message.count);
    std::uint32_t before =
        i > 0 && i < message.count ? load_wire_one<std::uint32_t>(message.data, i - 1) : 0;
    unsigned long long trouble = kNoTrouble;
    for (unsigned j = 0; j < kQuad; ++j) {
        const std::uint32_t index = quad.at[j];
        if (i + j < message.count && trouble == kNoTrouble) {
            trouble = trouble_of_index(i + j, i + j == 0, before, index, message.range.length);
        }
        before = index;
        quad.at[j] = message.range.begin + index;
    }
    if (i < message.count) {
        store_quad(out, i, message.count, quad);
    }
    report_of_warp(outcome, trouble);
}

// ---- tile16 ----

// A warp for each tile.
__global__ void __launch_bounds__(kThreads)
    encode_counts_kernel(Places places, std::uint8_t* out, const IndexOutcome* outcome) {
    const std::uint64_t tile = std::uint64_t{blockIdx.x} * (blockDim.x / kWarp) + warp();
    if (tile >= tile_count(places.range.length) || outcome->trouble != kNoTrouble) {
        return;
    }
    const std::uint64_t begin = first_reaching(places, tile * kIndexTile);
    const std::uint64_t end = first_reaching(places, (tile + 1) * kIndexTile);
    if (lane() < 4) {
        out[4 * tile + lane()] = static_cast<std::uint8_t>((end - begin) >> (8 * lane()));
    }
}

__global__ void __launch_bounds__(kThreads)
    encode_offsets_kernel(Places places, std::uint8_t* offsets, const IndexOutcome* outcome) {
    const std::uint64_t i = own_quad();
    if (i >= places.count || outcome->trouble != kNoTrouble) {
        return;
    }
    const Quad<std::uint32_t> quad = load_quad(places.indices, i, places.count);
    Quad<std::uint16_t> lower;
    for (unsigned j = 0; j < kQuad; ++j) {
        lower.at[j] = static_cast<std::uint16_t>(quad.at[j] - places.range.begin);
    }
    store_wire(offsets, i, places.count, lower);
}

struct TileCounts {
    const std::uint8_t* data;

    GRADWIRE_DEVICE std::uint64_t operator()(std::uint64_t tile) const {
        return load_wire_one<std::uint32_t>(data, tile);
    }
};

// The last tile of [first, end) that begins at or before place p: before[first] <= p.
GRADWIRE_DEVICE std::uint64_t tile_of(const std::uint64_t* before, std::uint64_t first,
                                      std::uint64_t end, std::uint64_t p) {
    while (end - first > 1) {
        const std::uint64_t middle = first + (end - first) / 2;
        if (before[middle] <= p) {
            first = middle;
        } else {
            end = middle;
        }
    }
    return first;
}

// Counts that add up to too many are wrong where the first tile with too many begins, which is
// behind all indices that are looked at; those that add up to too few, behind the last one. So
// indices in front of that come first, and both are wrong at the same place: the end.
__global__ void __launch_bounds__(kThreads)
    decode_tile16_kernel(Encoded message, const std::uint64_t* before, std::uint32_t* out,
                         IndexOutcome* outcome) {
    const std::uint64_t tiles = tile_count(message.range.length);
    const std::uint8_t* const offsets = message.data + 4 * tiles;
    const std::uint64_t i = own_quad();
    const std::uint64_t limit = before[tiles] < message.count ? before[tiles] : message.count;
    const Quad<std::uint16_t> quad = load_wire<std::uint16_t>(offsets, i, message.count);
    Quad<std::uint32_t> indices{};
    unsigned long long trouble = kNoTrouble;
    std::uint64_t tile = i < limit ? tile_of(before, 0, tiles, i) : 0;
    std::uint32_t last = i > 0 && i < limit ? load_wire_one<std::uint16_t>(offsets, i - 1) : 0;
    for (unsigned j = 0; j < kQuad; ++j) {
        const std::uint64_t p = i + j;
        if (p < limit) {
            if (p >= before[tile + 1]) {
                tile = tile_of(before, tile + 1, tiles, p);
            }
            const std::uint64_t begin = tile * kIndexTile;
            // Of a tile with too many, and of those behind it, nothing is looked at.
            if (before[tile + 1] <= message.count && trouble == kNoTrouble) {
                trouble = trouble_of_index(p, p == before[tile], last, quad.at[j],
                                           message.range.length - begin);
            }
            indices.at[j] = message.range.begin + static_cast<std::uint32_t>(begin) + quad.at[j];
        }
        last = quad.at[j];
    }
    if (i < limit) {
        store_quad(out, i, limit, indices);
    }
    if (i == 0 && before[tiles] != message.count) {
        report(outcome, trouble_at(message.count, 0, Status::count_mismatch));
    }
    report_of_warp(outcome, trouble);
}

unsigned blocks(std::uint64_t count) noexcept {
    return blocks_for(count, kThreads * kQuad);
}

}  // namespace

void encode_u32(const Places& places, std::uint8_t* out, IndexOutcome* outcome) noexcept {
    launch(blocks(places.count), kThreads, encode_u32_kernel, places, out, outcome);
}

void decode_u32(const Encoded& message, std::uint32_t* out, IndexOutcome* outcome) noexcept {
    launch(blocks(message.count), kThreads, decode_u32_kernel, message, out, outcome);
}

void encode_tile16(const Places& places, std::uint8_t* out, IndexOutcome* outcome) noexcept {
    const std::uint64_t tiles = tile_count(places.range.length);
    launch(blocks_for(tiles, kThreads / kWarp), kThreads, encode_counts_kernel, places, out,
           outcome);
    launch(blocks(places.count), kThreads, encode_offsets_kernel, places, out + 4 * tiles, outcome);
}

std::uint64_t tile16_workspace(std::uint64_t length) noexcept {
    return (tile_count(length) + 1) * sizeof(std::uint64_t);
}

void decode_tile16(const Encoded& message, std::uint32_t* out, void* workspace,
                   IndexOutcome* outcome) noexcept {
    auto* const before = static_cast<std::uint64_t*>(workspace);
    running_sums(TileCounts{message.data}, tile_count(message.range.length), before);
    // Also without indices: counts that should be zero are looked at.
    launch(message.count == 0 ? 1 : blocks(message.count), kThreads, decode_tile16_kernel, message,
           before, out, outcome);
}

}  // namespace cuda
}  // namespace gradwire
