#include "gradwire/merge.h"

#include <cstring>

#include "float_environment.h"
#include "increasing.h"
#include "parallel.h"
#include "sections.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// One tile of the index space is summed densely in the first-level cache. Tiles that only one chunk
// touches are copied and others skipped, so the cost follows the number of entries, not the range.
constexpr std::uint32_t kTileBits = 12;
constexpr std::uint32_t kTileSize = std::uint32_t{1} << kTileBits;
constexpr std::uint32_t kWordBits = 64;
constexpr std::uint32_t kTileWords = kTileSize / kWordBits;
// Entries per word of marks up to which four and eight at a time are the fastest way to write them.
constexpr std::uint64_t kFewPerWord = 3;
constexpr std::uint64_t kManyPerWord = 8;
constexpr std::uint64_t kNoTile = ~std::uint64_t{0};

struct SumTile {
    float sums[kTileSize];
    std::uint64_t present[kTileWords];  // a bit for each sum
    std::uint64_t touched;              // a bit for each word of `present`
    std::uint64_t added;                // entries, those of common indices counted each
};

std::uint64_t tile_of(std::uint32_t index) noexcept {
    return index >> kTileBits;
}

// What comes next: the lowest tile, a chunk that has it, and the lowest tile of all other chunks.
struct Next {
    std::uint64_t tile = kNoTile;
    std::uint64_t chunk = 0;
    std::uint64_t other_tile = kNoTile;
};

Next find_next(const Chunk* chunks, std::uint64_t chunk_count,
               const std::uint64_t* cursors) noexcept {
    Next next;
    for (std::uint64_t c = 0; c < chunk_count; ++c) {
        if (cursors[c] == chunks[c].count) {
            continue;
        }
        const std::uint64_t tile = tile_of(chunks[c].indices[cursors[c]]);
        if (tile < next.tile) {
            next = {tile, c, next.tile};
        } else if (tile < next.other_tile) {
            next.other_tile = tile;
        }
    }
    return next;
}

// The first entry of the chunk, from `cursor` on, that is in `tile` or behind it: by doubling
// steps, then halving them.
std::uint64_t first_of_tile(const Chunk& chunk, std::uint64_t cursor, std::uint64_t tile) noexcept {
    std::uint64_t step = 1;
    std::uint64_t end = cursor;
    while (end < chunk.count && tile_of(chunk.indices[end]) < tile) {
        cursor = end + 1;
        end += step;
        step *= 2;
    }
    end = end < chunk.count ? end : chunk.count;
    while (cursor < end) {
        const std::uint64_t middle = cursor + (end - cursor) / 2;
        if (tile_of(chunk.indices[middle]) < tile) {
            cursor = middle + 1;
        } else {
            end = middle;
        }
    }
    return cursor;
}

// Appends the chunk's entries [begin, end). False when `out` has no room for them.
bool copy_run(const Chunk& chunk, std::uint64_t begin, std::uint64_t end, const Entries& out,
              std::uint64_t* written) noexcept {
    const std::uint64_t count = end - begin;
    if (count > out.capacity - *written) {
        return false;
    }
    std::memcpy(out.indices + *written, chunk.indices + begin, count * sizeof(std::uint32_t));
    std::memcpy(out.values + *written, chunk.values + begin, count * sizeof(float));
    *written += count;
    return true;
}

// Adds the chunk's entries of the tile, from `cursor` on; returns the cursor behind them.
std::uint64_t add_chunk(const Chunk& chunk, std::uint64_t cursor, std::uint64_t tile_number,
                        SumTile* tile) noexcept {
    const std::uint64_t begin = cursor;
    std::uint64_t touched = tile->touched;
    for (; cursor < chunk.count; ++cursor) {
        const std::uint32_t index = chunk.indices[cursor];
        if (tile_of(index) != tile_number) {
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
        touched |= std::uint64_t{1} << (offset / kWordBits);
    }
    tile->touched = touched;
    tile->added += cursor - begin;
    return cursor;
}

std::uint32_t lowest_bit(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(__builtin_ctzll(word));
}

// Writes the sums of one word of marks, `kStep` at a time although fewer may be left: a wrongly
// predicted branch costs more. Returns the end of what counts.
template <unsigned kStep>
std::uint64_t emit_word(const SumTile& tile, std::uint32_t word_number, std::uint32_t base,
                        const Entries& out, std::uint64_t count) noexcept {
    constexpr std::uint64_t kLastBit = std::uint64_t{1} << (kWordBits - 1);
    std::uint64_t word = tile.present[word_number];
    const std::uint64_t end = count + static_cast<std::uint64_t>(__builtin_popcountll(word));
    const std::uint32_t first = word_number * kWordBits;
    do {
        for (unsigned i = 0; i < kStep; ++i) {
            const std::uint32_t offset = first + lowest_bit(word | kLastBit);
            out.indices[count + i] = base + offset;
            out.values[count + i] = tile.sums[offset];
            word &= word - 1;
        }
        count += kStep;
    } while (count < end);
    return end;
}

template <unsigned kStep>
std::uint64_t emit_words(SumTile* tile, std::uint32_t base, const Entries& out,
                         std::uint64_t count) noexcept {
    for (std::uint64_t words = tile->touched; words != 0; words &= words - 1) {
        const std::uint32_t word = lowest_bit(words);
        count = emit_word<kStep>(*tile, word, base, out, count);
        tile->present[word] = 0;
    }
    return count;
}

std::uint64_t emit_lanes(SumTile* tile, std::uint32_t base, const Entries& out,
                         std::uint64_t count) noexcept {
    for (std::uint32_t begin = 0; begin < kTileSize; begin += kLanes) {
        const std::uint64_t word = tile->present[begin / kWordBits];
        const auto mask = static_cast<Mask>(word >> (begin % kWordBits));
        compress_store(out.indices + count, mask, lane_numbers() + words(base + begin));
        compress_store(out.values + count, mask, load(tile->sums + begin));
        count += count_lanes(mask);
    }
    for (std::uint64_t& word : tile->present) {
        word = 0;
    }
    return count;
}

// The number of sums in the tile.
std::uint64_t count_sums(const SumTile& tile) noexcept {
    std::uint64_t count = 0;
    for (const std::uint64_t word : tile.present) {
        count += static_cast<std::uint64_t>(__builtin_popcountll(word));
    }
    return count;
}

// Appends the sums of the tile and clears its marks. False when `out` has no room for them.
bool emit_tile(SumTile* tile, std::uint64_t tile_number, const Entries& out,
               std::uint64_t* written) noexcept {
    const auto base = static_cast<std::uint32_t>(tile_number << kTileBits);
    const std::uint64_t room = out.capacity - *written;
    if (room < tile->added + kWordBits) {  // not certainly enough to write some more than there are
        if (room < count_sums(*tile)) {
            return false;
        }
        *written = emit_words<1>(tile, base, out, *written);
    } else if (tile->added <= kFewPerWord * kTileWords) {
        *written = emit_words<4>(tile, base, out, *written);
    } else if (tile->added <= kManyPerWord * kTileWords) {
        *written = emit_words<8>(tile, base, out, *written);
    } else {
        *written = emit_lanes(tile, base, out, *written);
    }
    tile->touched = 0;
    tile->added = 0;
    return true;
}

// Merges what the chunks have from their cursors on.
Status merge_part(const Chunk* chunks, std::uint64_t chunk_count, std::uint64_t* cursors,
                  const Entries& out, std::uint64_t* written) noexcept {
    const IeeeArithmetic ieee;
    SumTile tile{};
    for (;;) {
        const Next next = find_next(chunks, chunk_count, cursors);
        if (next.tile == kNoTile) {
            return Status::ok;
        }
        bool fits = true;
        if (next.tile < next.other_tile) {
            const Chunk& chunk = chunks[next.chunk];
            const std::uint64_t begin = cursors[next.chunk];
            const std::uint64_t end = first_of_tile(chunk, begin, next.other_tile);
            fits = copy_run(chunk, begin, end, out, written);
            cursors[next.chunk] = end;
        } else {
            for (std::uint64_t c = 0; c < chunk_count; ++c) {
                cursors[c] = add_chunk(chunks[c], cursors[c], next.tile, &tile);
            }
            fits = emit_tile(&tile, next.tile, out, written);
        }
        if (!fits) {
            return Status::capacity_exceeded;
        }
    }
}

// ---- several threads ----

// More chunks are merged by one thread: each part of the work has a cursor for every chunk.
constexpr std::uint64_t kMostChunks = 256;

// The tiles that part number `part` begins with: where its share of the longest chunk begins.
std::uint64_t first_tile_of_part(const Chunk& longest, std::uint64_t part,
                                 std::uint64_t parts) noexcept {
    if (part == parts) {
        return kNoTile;
    }
    return part == 0 ? 0 : tile_of(longest.indices[longest.count / parts * part]);
}

// Each part has its share of the tiles, and room for all entries that it reads, behind the room of
// those before it; then the results are pushed together.
std::uint64_t merge_in_parallel(const Chunk* chunks, std::uint64_t chunk_count, std::uint64_t parts,
                                const Entries& out) noexcept {
    const Chunk* longest = chunks;
    for (std::uint64_t c = 0; c < chunk_count; ++c) {
        longest = chunks[c].count > longest->count ? chunks + c : longest;
    }
    std::uint64_t begins[kMaxThreads];
    std::uint64_t counts[kMaxThreads] = {};
    for_each_part({parts, 1, parts}, [&](std::uint64_t part) {
        const std::uint64_t first = first_tile_of_part(*longest, part, parts);
        const std::uint64_t last = first_tile_of_part(*longest, part + 1, parts);
        Chunk pieces[kMostChunks];
        std::uint64_t cursors[kMostChunks] = {};
        std::uint64_t room = 0;
        begins[part] = 0;
        for (std::uint64_t c = 0; c < chunk_count; ++c) {
            const std::uint64_t begin = first_of_tile(chunks[c], 0, first);
            const std::uint64_t end = first_of_tile(chunks[c], begin, last);
            pieces[c] = {chunks[c].indices + begin, chunks[c].values + begin, end - begin};
            begins[part] += begin;
            room += end - begin;
        }
        merge_part(pieces, chunk_count, cursors, section_of(out, begins[part], room),
                   &counts[part]);
    });
    std::uint64_t total = 0;
    for (std::uint64_t part = 0; part < parts; ++part) {
        total += move_entries(out, begins[part], counts[part], total);
    }
    return total;
}

}  // namespace

Status merge(const Chunk* chunks, std::uint64_t chunk_count, std::uint64_t* cursors, Entries out,
             std::uint64_t* written) noexcept {
    std::uint64_t total = 0;
    for (std::uint64_t c = 0; c < chunk_count; ++c) {
        if (!strictly_increasing(chunks[c].indices, chunks[c].count)) {
            return Status::not_increasing;
        }
        total += chunks[c].count;
        cursors[c] = 0;
    }
    const Parts parts = large_parts(total, 1);
    if (parts.count > 1 && chunk_count <= kMostChunks && out.capacity >= total) {
        *written = merge_in_parallel(chunks, chunk_count, parts.count, out);
        return Status::ok;
    }
    *written = 0;
    return merge_part(chunks, chunk_count, cursors, out, written);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
