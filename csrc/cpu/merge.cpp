#include "gradwire/merge.h"

#include <algorithm>

#include "float_environment.h"
#include "increasing.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// One tile of the index space is summed densely in the first-level cache; tiles that no chunk
// touches are skipped, so the cost follows the number of entries, not the range.
constexpr std::uint32_t kTileBits = 12;
constexpr std::uint32_t kTileSize = std::uint32_t{1} << kTileBits;
constexpr std::uint32_t kWordBits = 64;
constexpr std::uint64_t kNoTile = ~std::uint64_t{0};

struct SumTile {
    float sums[kTileSize];
    std::uint64_t present[kTileSize / kWordBits];
};

std::uint64_t next_tile(const Chunk* chunks, std::uint64_t chunk_count,
                        const std::uint64_t* cursors) noexcept {
    std::uint64_t tile = kNoTile;
    for (std::uint64_t c = 0; c < chunk_count; ++c) {
        if (cursors[c] < chunks[c].count) {
            tile = std::min<std::uint64_t>(tile, chunks[c].indices[cursors[c]] >> kTileBits);
        }
    }
    return tile;
}

// Adds the chunk's entries of the tile, from `cursor` on; returns the cursor behind them.
std::uint64_t add_chunk(const Chunk& chunk, std::uint64_t cursor, std::uint64_t tile_number,
                        SumTile* tile) noexcept {
    for (; cursor < chunk.count; ++cursor) {
        const std::uint32_t index = chunk.indices[cursor];
        if (index >> kTileBits != tile_number) {
            break;
        }
        const std::uint32_t offset = index & (kTileSize - 1);
        std::uint64_t& word = tile->present[offset / kWordBits];
        const std::uint64_t bit = std::uint64_t{1} << (offset % kWordBits);
        // Not 0 + value: that would turn -0 into +0.
        const float value = chunk.values[cursor];
        const float sum = tile->sums[offset] + value;
        tile->sums[offset] = (word & bit) != 0 ? sum : value;
        word |= bit;
    }
    return cursor;
}

unsigned lowest_bit(std::uint64_t word) noexcept {
    return static_cast<unsigned>(__builtin_ctzll(word));
}

// Appends the sums of the tile and clears its marks. False when `out` is full.
bool emit_tile(SumTile* tile, std::uint64_t tile_number, const Entries& out,
               std::uint64_t* written) noexcept {
    std::uint64_t count = *written;
    for (std::uint32_t w = 0; w < kTileSize / kWordBits; ++w) {
        for (std::uint64_t word = tile->present[w]; word != 0; word &= word - 1) {
            if (count == out.capacity) {
                return false;
            }
            const std::uint32_t offset = w * kWordBits + lowest_bit(word);
            out.indices[count] = static_cast<std::uint32_t>(tile_number << kTileBits) + offset;
            out.values[count] = tile->sums[offset];
            ++count;
        }
        tile->present[w] = 0;
    }
    *written = count;
    return true;
}

}  // namespace

Status merge(const Chunk* chunks, std::uint64_t chunk_count, std::uint64_t* cursors, Entries out,
             std::uint64_t* written) noexcept {
    for (std::uint64_t c = 0; c < chunk_count; ++c) {
        if (!strictly_increasing(chunks[c].indices, chunks[c].count)) {
            return Status::not_increasing;
        }
        cursors[c] = 0;
    }
    const IeeeArithmetic ieee;
    SumTile tile{};
    *written = 0;
    for (;;) {
        const std::uint64_t number = next_tile(chunks, chunk_count, cursors);
        if (number == kNoTile) {
            return Status::ok;
        }
        for (std::uint64_t c = 0; c < chunk_count; ++c) {
            cursors[c] = add_chunk(chunks[c], cursors[c], number, &tile);
        }
        if (!emit_tile(&tile, number, out, written)) {
            return Status::capacity_exceeded;
        }
    }
}

Status intersect(const std::uint32_t* a, std::uint64_t a_count, const std::uint32_t* b,
                 std::uint64_t b_count, std::uint32_t* out, std::uint64_t* written) noexcept {
    if (!strictly_increasing(a, a_count) || !strictly_increasing(b, b_count)) {
        return Status::not_increasing;
    }
    std::uint64_t i = 0;
    std::uint64_t j = 0;
    std::uint64_t count = 0;
    // count <= min(i, j), so every write is inside out.
    while (i < a_count && j < b_count) {
        const std::uint32_t left = a[i];
        const std::uint32_t right = b[j];
        out[count] = left;
        count += static_cast<std::uint64_t>(left == right);
        i += static_cast<std::uint64_t>(left <= right);
        j += static_cast<std::uint64_t>(right <= left);
    }
    *written = count;
    return Status::ok;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
