// Exact k-th largest magnitude by histograms of its leading bits, digit by digit.
#pragma once

#include <cstdint>

#include "compact.h"
#include "gradwire/magnitude.h"
#include "parallel.h"
#include "simd.h"
#include "sources.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Digit {
    unsigned shift;
    unsigned bits;
};

// 13 bits first (exponent and 5 of the mantissa): the k-th bin of gradient-like data then holds
// well under one percent of the elements, so one digit is nearly always enough for top-k.
constexpr Digit kDigits[] = {{18, 13}, {9, 9}, {0, 9}};
// In short vectors, and among candidates, the time goes into clearing and searching the tables.
constexpr Digit kShortDigits[] = {{20, 11}, {10, 10}, {0, 10}};
constexpr std::uint64_t kShort = std::uint64_t{1} << 14;
constexpr Digit kTinyDigits[] = {{23, 8}, {15, 8}, {7, 8}, {0, 7}};
constexpr std::uint64_t kTiny = std::uint64_t{1} << 10;
constexpr std::uint64_t kBins = std::uint64_t{1} << 13;
// Tables in turn: neighbours that fall into one bin do not wait for each other's store. A bin's
// counts lie side by side, so that no two tables have addresses with the same low 12 bits, by which
// processors guess what to wait for: one wrong guess, and for some tenths of a second every count
// waits for the one before it.
constexpr std::uint64_t kTables = 4;
constexpr std::uint64_t kCounts = kTables * kBins;
constexpr std::uint64_t kCountsBytes = kCounts * sizeof(std::uint32_t);

// Of the tables that vectors up to this length need.
constexpr std::uint64_t counts_bytes(std::uint64_t n) noexcept {
    return n < kShort ? sizeof(std::uint32_t) << kShortDigits[0].bits : kCountsBytes;
}

// Where the k-th largest magnitude lies.
struct Cut {
    std::uint32_t low;     // smallest magnitude of its bin
    std::uint64_t above;   // elements above the bin: fewer than k
    std::uint64_t inside;  // elements in the bin
    bool exact;            // the bin is one magnitude wide: low is the k-th
    bool enough;           // there are k non-zeros; if not, the rest says nothing
};

inline void reset_counts(std::uint32_t* counts) noexcept {
    __builtin_memset(counts, 0, kCountsBytes);
}

// Leaves the sum of all tables in the first kBins counts.
inline void add_up_tables(std::uint32_t* counts) noexcept {
    for (std::uint64_t b = 0; b < kBins; ++b) {
        const std::uint32_t* const all = counts + kTables * b;
        counts[b] = all[0] + all[1] + all[2] + all[3];
    }
}

template <int pair>
GRADWIRE_SIMD void count_two(Words places, std::uint32_t* counts) noexcept {
    static_assert(kTables % 2 == 0);
    constexpr std::uint64_t kTable = 2 * pair % kTables;
    const std::uint64_t two = two_lanes<pair>(places);
    ++counts[static_cast<std::uint32_t>(two) + kTable];
    ++counts[(two >> 32) + kTable + 1];
}

// Adds sixteen elements to the counts of their leading bits, those from `shift` on: at most 13.
// Zeros fall into bin 0, where they are counted separately and taken out in the end.
GRADWIRE_SIMD void count_leading_bits(Floats x, Words shift, std::uint32_t* counts,
                                      std::uint64_t* zeros) noexcept {
    const Words bits = magnitudes(x);
    *zeros += count_lanes(equal(bits, words(0)));
    // By registers: by way of memory each bin would have to be forwarded from a store.
    const Words places = shift_left<2>(shift_right(bits, shift));
    static_assert(kTables == 1U << 2U);
    count_two<0>(places, counts);
    count_two<1>(places, counts);
    count_two<2>(places, counts);
    count_two<3>(places, counts);
    count_two<4>(places, counts);
    count_two<5>(places, counts);
    count_two<6>(places, counts);
    count_two<7>(places, counts);
}

// Adds the elements i, begin <= i < end, to the counts of their leading bits.
template <typename Source>
void count_range(const Source& source, std::uint64_t begin, std::uint64_t end, unsigned from,
                 std::uint32_t* counts) noexcept {
    const Words shift = words(from);
    std::uint64_t zeros = 0;
    std::uint64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
        count_leading_bits(source.lanes(i), shift, counts, &zeros);
    }
    if (i < end) {  // lanes beyond the end are zeros like others
        count_leading_bits(source.tail(i, end - i), shift, counts, &zeros);
    }
    // Tables are added up modulo 2^32, so that any of them may give the zeros back.
    counts[0] -= static_cast<std::uint32_t>(zeros);
}

// Adds the elements of [0, n) whose bits above the digit are `prefix`; after the first digit they
// are few. Zeros are left out.
template <typename Source, typename Count>
void count_digit(const Source& source, std::uint64_t n, Digit digit, std::uint32_t prefix,
                 Count* counts) noexcept {
    const Words above = words(digit.shift + digit.bits);
    const Words wanted = words(prefix);
    const std::uint32_t mask = (std::uint32_t{1} << digit.bits) - 1;
    const auto add = [&](Floats x) {
        const Words bits = magnitudes(x);
        const auto hits =
            static_cast<Mask>(equal(shift_right(bits, above), wanted) & ~equal(bits, words(0)));
        if (hits == 0) {
            return;
        }
        alignas(64) std::uint32_t all[kLanes];
        store(all, bits);
        for (std::uint32_t rest = hits; rest != 0; rest &= rest - 1) {
            ++counts[(all[__builtin_ctz(rest)] >> digit.shift) & mask];
        }
    };
    std::uint64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        add(source.lanes(i));
    }
    if (i < n) {
        add(source.tail(i, n - i));
    }
}

inline void add_table(const std::uint32_t* from, std::uint64_t bins, std::uint32_t* to) noexcept {
    for (std::uint64_t b = 0; b < bins; ++b) {
        if (from[b] != 0) {
            __atomic_fetch_add(&to[b], from[b], __ATOMIC_RELAXED);
        }
    }
}
inline void add_table(const std::uint32_t* from, std::uint64_t bins, std::uint64_t* to) noexcept {
    for (std::uint64_t b = 0; b < bins; ++b) {
        if (from[b] != 0) {
            __atomic_fetch_add(&to[b], std::uint64_t{from[b]}, __ATOMIC_RELAXED);
        }
    }
}

// Counts the first digit of all of x: adds to counts, of which all kCounts must be 0.
template <typename T>
void count_all_first_digits(const T* x, std::uint64_t n, std::uint32_t* counts) noexcept {
    const Parts parts = large_parts(n, kLanes);
    if (parts.count == 1) {
        count_range(Plain<T>{x}, 0, n, kDigits[0].shift, counts);
        add_up_tables(counts);
        return;
    }
    for_each_part(parts, [=](std::uint64_t part) {
        std::uint32_t own[kCounts] = {};
        count_range(Plain<T>{x}, parts.begin(part), parts.end(part), kDigits[0].shift, own);
        add_up_tables(own);
        add_table(own, kBins, counts);
    });
}

// The leading bits of all of x, at most 13 of them.
template <typename T>
void count_all_leading_bits(const T* x, std::uint64_t n, Digit digit,
                            std::uint64_t* counts) noexcept {
    const Parts parts = large_parts(n, kLanes);
    for_each_part(parts, [=](std::uint64_t part) {
        std::uint32_t own[kCounts] = {};
        count_range(Plain<T>{x}, parts.begin(part), parts.end(part), digit.shift, own);
        add_up_tables(own);
        add_table(own, std::uint64_t{1} << digit.bits, counts);
    });
}

// count_digit of all of x. Large tables are not worth one for each thread.
template <typename T, typename Count>
void count_all_digits(const T* x, std::uint64_t n, Digit digit, std::uint32_t prefix,
                      Count* counts) noexcept {
    const Parts parts = large_parts(n, kLanes);
    if (parts.count == 1 || digit.bits > kDigits[0].bits) {
        count_digit(Plain<T>{x}, n, digit, prefix, counts);
        return;
    }
    for_each_part(parts, [=](std::uint64_t part) {
        std::uint32_t own[kBins] = {};
        const std::uint64_t begin = parts.begin(part);
        count_digit(Plain<T>{x + begin}, parts.end(part) - begin, digit, prefix, own);
        add_table(own, std::uint64_t{1} << digit.bits, counts);
    });
}

// A bin, and how many of those counted lie above it.
struct Bin {
    bool found;
    std::uint32_t number;
    std::uint64_t above;
};

// The bin that holds the k-th largest of those counted.
inline Bin find_bin(const std::uint32_t* counts, std::uint64_t bins, std::uint64_t k) noexcept {
    std::uint64_t seen = 0;
    for (std::uint64_t b = bins; b-- > 0;) {
        if (seen + counts[b] >= k) {
            return {true, static_cast<std::uint32_t>(b), seen};
        }
        seen += counts[b];
    }
    return {false, 0, 0};
}

// Narrows down to a bin that holds the k-th largest (k >= 1), until above + inside <= room or the
// bin is one magnitude wide.
template <typename T>
Cut narrow(const T* x, std::uint64_t n, std::uint64_t k, std::uint64_t room,
           std::uint32_t* counts) noexcept {
    Cut cut{0, 0, 0, false, true};
    std::uint32_t prefix = 0;
    const Digit* const digits = n < kTiny ? kTinyDigits : n < kShort ? kShortDigits : kDigits;
    for (unsigned level = 0; !cut.exact; ++level) {
        const Digit digit = digits[level];
        if (level == 0 && n >= kShort) {
            reset_counts(counts);
            count_all_first_digits(x, n, counts);
        } else {
            __builtin_memset(counts, 0, sizeof(std::uint32_t) << digit.bits);
            count_all_digits(x, n, digit, prefix, counts);
        }
        const Bin bin = find_bin(counts, std::uint64_t{1} << digit.bits, k - cut.above);
        if (!bin.found) {
            cut.enough = false;
            return cut;
        }
        prefix = (prefix << digit.bits) | bin.number;
        cut.low = prefix << digit.shift;
        cut.above += bin.above;
        cut.inside = counts[bin.number];
        cut.exact = digit.shift == 0;
        if (cut.above + cut.inside <= room) {
            break;
        }
    }
    // The lowest bin begins at zero, which is never counted.
    cut.low = cut.low == 0 ? 1 : cut.low;
    return cut;
}

// ---- a floor from a sample ----

// The first kSampled of every kTile elements are a sample of the vector.
constexpr std::uint64_t kSampled = 64;
// Shorter vectors are searched without a sample.
constexpr std::uint64_t kLong = 16 * kTile;

inline std::uint64_t square_root(std::uint64_t x) noexcept {
    std::uint64_t root = 0;
    while ((root + 1) * (root + 1) <= x) {
        ++root;
    }
    return root;
}

// A magnitude that somewhat more than k elements reach, if the sample is like the whole; 0 where
// there is none to be had.
template <typename Source>
std::uint32_t estimate_floor(const Source& source, std::uint64_t n, std::uint64_t k,
                             std::uint32_t* counts) noexcept {
    reset_counts(counts);
    std::uint64_t zeros = 0;
    std::uint64_t size = 0;
    for (std::uint64_t begin = 0; begin + kSampled <= n; begin += kTile, size += kSampled) {
        for (std::uint64_t i = begin; i < begin + kSampled; i += kLanes) {
            count_leading_bits(source.peek(i), words(kDigits[0].shift), counts, &zeros);
        }
    }
    counts[0] -= static_cast<std::uint32_t>(zeros);
    add_up_tables(counts);
    // Four standard deviations, if each element were sampled by chance.
    const auto expected = static_cast<std::uint64_t>(
        static_cast<double>(size) * (static_cast<double>(k) / static_cast<double>(n)));
    const std::uint64_t rank = expected + 4 * square_root(expected) + 8;
    const Bin bin = find_bin(counts, kBins, rank);
    return bin.found ? bin.number << kDigits[0].shift : 0;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
