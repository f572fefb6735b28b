// Compaction of a whole vector, by several threads if it is long.
//
// Each thread fills a section of the output; the sections are then pushed together. A section that
// is too short ends its part early, and the rest of that part is added when everything lies where
// it belongs: with a buffer of the exact size one of two sections nearly always is.
#pragma once

#include <cstdint>

#include "compact.h"
#include "float_environment.h"
#include "parallel.h"
#include "sections.h"
#include "sources.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// What is done when there is no room for all.
enum class Overflow {
    count_on,  // as many entries as fit, and the number of all
    give_up,   // any number above the capacity
};

// Entries of a part of the vector, in its section.
struct Section {
    std::uint64_t begin;     // of its entries, in the output
    std::uint64_t capacity;  // of its room
    std::uint64_t count;     // of its entries
    std::uint64_t stop;      // elements of the vector from here on ...
    std::uint64_t end;       // ... to here are not among them
};

// The end of the tile that begins at `begin`; the elements before `head` are one of their own.
inline std::uint64_t tile_end(std::uint64_t begin, std::uint64_t head, std::uint64_t end) noexcept {
    if (begin < head) {
        return head;
    }
    return end - begin < kTile ? end : begin + kTile;
}

// Compacts [begin, end) tile by tile until the room is used up. The source is asked for everything.
template <typename Source>
void fill_section(const Source& source, std::uint64_t begin, std::uint64_t head, std::uint64_t end,
                  std::uint32_t floor, const Entries& out, Section* section) noexcept {
    const Entries room = section_of(out, section->begin, section->capacity);
    std::uint64_t count = 0;
    std::uint64_t tile = begin;
    while (tile < end) {
        const std::uint64_t next = tile_end(tile, head, end);
        const std::uint64_t more = compact(source, tile, next, floor, room, count);
        if (more > room.capacity) {
            source.pass(next, end);
            break;
        }
        count = more;
        tile = next;
    }
    finish_streams();
    section->count = count;
    section->stop = tile;
    section->end = end;
}

inline void move_section(const Entries& out, Section* section, std::uint64_t to) noexcept {
    move_entries(out, section->begin, section->count, to);
    section->begin = to;
}

inline bool has_rest(const Section* sections, std::uint64_t count) noexcept {
    std::uint64_t rest = 0;
    for (std::uint64_t s = 0; s < count; ++s) {
        rest += sections[s].end - sections[s].stop;
    }
    return rest != 0;
}

// Appends what is not in the section to the `total` entries in out; more than `limit` if it does
// not fit.
template <typename T>
std::uint64_t append_rest(const Plain<T>& x, const Section& section, std::uint32_t floor,
                          const Entries& out, std::uint64_t total, std::uint64_t limit) noexcept {
    const Entries room = section_of(out, 0, limit);
    for (std::uint64_t tile = section.stop; tile < section.end && total <= limit;) {
        const std::uint64_t next = tile_end(tile, 0, section.end);
        total = compact(x, tile, next, floor, room, total);
        tile = next;
    }
    return total;
}

// Pushes the sections together and adds the rests of their parts. Returns the number of entries, or
// one above the capacity if they do not fit; then out holds nothing of use.
template <typename T>
std::uint64_t join_sections(const Plain<T>& x, std::uint32_t floor, const Entries& out,
                            Section* sections, std::uint64_t count) noexcept {
    if (has_rest(sections, count)) {  // all room between what is there and what comes next
        std::uint64_t room = out.capacity;
        for (std::uint64_t s = count; s-- > 1;) {
            room -= sections[s].count;
            move_section(out, &sections[s], room);
        }
    }
    std::uint64_t total = 0;
    for (std::uint64_t s = 0; s < count; ++s) {
        move_section(out, &sections[s], total);
        total += sections[s].count;
        const std::uint64_t limit = s + 1 < count ? sections[s + 1].begin : out.capacity;
        total = append_rest(x, sections[s], floor, out, total, limit);
        if (total > limit) {
            return out.capacity + 1;
        }
    }
    return total;
}

template <typename Source>
std::uint64_t gather_in_parallel(const Source& source, std::uint64_t head, const Parts& parts,
                                 std::uint32_t floor, const Entries& out,
                                 Overflow overflow) noexcept {
    Section sections[kMaxThreads];
    const std::uint64_t share = out.capacity / parts.count;
    for (std::uint64_t s = 0; s < parts.count; ++s) {
        const std::uint64_t begin = s * share;
        sections[s] = {begin, s + 1 < parts.count ? share : out.capacity - begin, 0, 0, 0};
    }
    for_each_part(parts, [&](std::uint64_t s) {
        const std::uint64_t begin = s == 0 ? 0 : head + parts.begin(s);
        fill_section(source, begin, head, head + parts.end(s), floor, out, &sections[s]);
    });
    const auto again = source.again();
    const std::uint64_t total = join_sections(again, floor, out, sections, parts.count);
    if (total > out.capacity && overflow == Overflow::count_on) {
        return compact(again, 0, head + parts.n, floor, out, 0);
    }
    return total;
}

// The elements with magnitude >= floor (floor >= 1), and how many there are. Groups of lanes begin
// at head; the source is asked for everything in any case.
template <typename Source>
std::uint64_t gather(const Source& source, std::uint64_t head, std::uint64_t n, std::uint32_t floor,
                     const Entries& out, Overflow overflow) noexcept {
    const IeeeArithmetic ieee;
    const Parts parts = large_parts(n - head, kBlock);
    if (parts.count > 1) {
        return gather_in_parallel(source, head, parts, floor, out, overflow);
    }
    std::uint64_t count = compact(source, 0, head, floor, out, 0);
    if (overflow == Overflow::count_on) {
        count = compact(source, head, n, floor, out, count);
    } else {
        std::uint64_t tile = head;
        while (tile < n && count <= out.capacity) {
            const std::uint64_t next = tile_end(tile, 0, n);
            count = compact(source, tile, next, floor, out, count);
            tile = next;
        }
        source.pass(tile, n);
    }
    finish_streams();
    return count;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
