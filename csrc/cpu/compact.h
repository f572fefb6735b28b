// Compaction: the elements that reach a magnitude, in index order.
//
// Four registers are compared at once; where none of their lanes reaches the magnitude, that is
// all. Otherwise each is compressed whether it has a hit or not: at the densities of top-k a branch
// for each would be mispredicted too often.
#pragma once

#include <cstdint>

#include "gradwire/magnitude.h"
#include "gradwire/select.h"
#include "simd.h"
#include "sources.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kBlock = 4 * kLanes;
// Elements between two looks at how things go.
constexpr std::uint64_t kTile = 4096;

GRADWIRE_SIMD Words magnitudes(Floats x) noexcept {
    return as_words(x) & words(kMagnitudeMask);
}

GRADWIRE_SIMD Mask at_least(Floats x, Words floor) noexcept {
    return static_cast<Mask>(~less(magnitudes(x), floor));
}

// Appends entries, first by full registers, at the end of the room one by one.
class EntryWriter {
  public:
    EntryWriter(const Entries& out, std::uint64_t count) noexcept : out_(out), count_(count) {}

    std::uint64_t count() const noexcept { return count_; }
    // Full registers may be written for `more` further groups of lanes.
    bool roomy(std::uint64_t more) const noexcept {
        return count_ + more * kLanes <= out_.capacity;
    }
    GRADWIRE_SIMD void append(Mask mask, Words indices, Floats values) noexcept {
        compress_store(out_.indices + count_, mask, indices);
        compress_store(out_.values + count_, mask, values);
        count_ += count_lanes(mask);
    }
    // Counts on when the room is used up, but writes no more.
    void append_carefully(Mask mask, Words indices, Floats values) noexcept {
        alignas(64) std::uint32_t all_indices[kLanes];
        alignas(64) float all_values[kLanes];
        store(all_indices, indices);
        store(all_values, values);
        for (std::uint32_t bits = mask; bits != 0; bits &= bits - 1) {
            if (count_ < out_.capacity) {
                const int lane = __builtin_ctz(bits);
                out_.indices[count_] = all_indices[lane];
                out_.values[count_] = all_values[lane];
            }
            ++count_;
        }
    }

  private:
    Entries out_;
    std::uint64_t count_;
};

// Appends the elements i, begin <= i < end, with magnitude >= floor (floor >= 1) to the `count`
// entries in out, and returns the new count. Counts on when out is full, but writes no more.
template <typename Source>
std::uint64_t compact(const Source& source, std::uint64_t begin, std::uint64_t end,
                      std::uint32_t floor, const Entries& out, std::uint64_t count) noexcept {
    const Words limit = words(floor);
    const auto numbers_at = [](std::uint64_t i) {
        return lane_numbers() + words(static_cast<std::uint32_t>(i));
    };
    EntryWriter writer(out, count);
    std::uint64_t i = begin;
    for (; i + kBlock <= end; i += kBlock) {
        const Floats x[4] = {source.lanes(i), source.lanes(i + kLanes),
                             source.lanes(i + 2 * kLanes), source.lanes(i + 3 * kLanes)};
        const Words largest = larger(larger(magnitudes(x[0]), magnitudes(x[1])),
                                     larger(magnitudes(x[2]), magnitudes(x[3])));
        if (less(largest, limit) == first_lanes(kLanes)) {
            continue;
        }
        const bool roomy = writer.roomy(4);
        for (std::uint64_t part = 0; part < 4; ++part) {
            const Words numbers = numbers_at(i + part * kLanes);
            if (roomy) {
                writer.append(at_least(x[part], limit), numbers, x[part]);
            } else {
                writer.append_carefully(at_least(x[part], limit), numbers, x[part]);
            }
        }
    }
    for (; i < end; i += kLanes) {
        const bool full = i + kLanes <= end;
        const Floats x = full ? source.lanes(i) : source.tail(i, end - i);
        writer.append_carefully(at_least(x, limit), numbers_at(i), x);
    }
    return writer.count();
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
