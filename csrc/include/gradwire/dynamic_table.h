// The table of gradwire/dynamic.h and its inverse.
//
// The inverse orders the float32 in [-1, 1] by value as integers, their places, cuts these into
// cells of 2^17 and holds one word for each cell. A cell spans 1/64 of a power of two, which is
// less than the distance between neighbouring decision bounds, so it has at most one of those. Its
// word is the code at its beginning, 17 bits up, plus what makes a place inside of it carry into
// the code from the bound on: one addition instead of a search.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint32_t kZeroCode = 127;
constexpr std::uint32_t kCodes = 256;

struct DynamicTable {
    float numbers[kCodes];
};

constexpr DynamicTable make_dynamic_table() noexcept {
    DynamicTable table{};
    std::uint32_t rank = 1;
    std::uint32_t power = 1000000;  // 10^d
    for (std::uint32_t parts = 1; parts <= 64; parts *= 2) {
        for (std::uint32_t j = 0; j < parts; ++j) {
            const auto above = static_cast<float>(2 * parts + 18 * j + 9);
            const float middle = above / static_cast<float>(20 * parts * power);
            table.numbers[kZeroCode + rank] = middle;
            table.numbers[kZeroCode - rank] = -middle;
            ++rank;
        }
        power /= 10;
    }
    table.numbers[kCodes - 1] = 1.0F;
    return table;
}

alignas(64) static constexpr DynamicTable kDynamicTable = make_dynamic_table();

// ---- places ----

constexpr unsigned kCellBits = 17;
constexpr std::uint32_t kCellMask = (std::uint32_t{1} << kCellBits) - 1;
// Below 2^-22 everything is nearest to 0; 1 shares a cell with the numbers just below it.
constexpr std::uint32_t kLeastPlaced = 105U << 23;
constexpr std::uint32_t kMostPlaced = (127U << 23) - 1;
constexpr std::uint32_t kHalf = kMostPlaced + 1 - kLeastPlaced;  // of the places, for each sign
constexpr std::uint32_t kCells = 2 * (kHalf >> kCellBits);

// Of t in [-1, 1]; of any other number, one that there is.
GRADWIRE_BOTH inline std::uint32_t dynamic_place(float t) noexcept {
    const std::uint32_t bits = float_bits(t);
    std::uint32_t size = bits & kMagnitudeMask;
    size = size < kLeastPlaced ? kLeastPlaced : size;
    size = size < kMostPlaced ? size : kMostPlaced;
    const std::uint32_t negative = 0U - (bits >> 31);  // all bits or none
    return ((size - kLeastPlaced) ^ negative) + kHalf;
}

// The same of the largest float32 that is at most x, 2^-22 <= |x| < 1.
constexpr std::uint32_t place_below(double x) noexcept {
    double lead = x < 0 ? -x : x;
    std::uint32_t exponent = 127;
    for (; lead < 1; lead *= 2) {
        --exponent;
    }
    const double mantissa = (lead - 1) * 0x1p23;
    const auto whole = static_cast<std::uint32_t>(mantissa);
    const std::uint32_t size = (exponent << 23) + whole - kLeastPlaced;
    if (x >= 0) {
        return kHalf + size;
    }
    return kHalf - 1 - size - static_cast<std::uint32_t>(static_cast<double>(whole) < mantissa);
}

struct DynamicCells {
    std::uint32_t words[kCells];
};

constexpr DynamicCells make_dynamic_cells() noexcept {
    DynamicCells cells{};
    std::uint32_t cell = 0;
    for (std::uint32_t code = 0; code < kCodes - 1; ++code) {
        // Exact: both have 24 bits, and are within a factor of 2 of each other, or one is 0.
        const double bound = (static_cast<double>(kDynamicTable.numbers[code]) +
                              static_cast<double>(kDynamicTable.numbers[code + 1])) /
                             2;
        const std::uint32_t last = place_below(bound);  // that this code is nearest to
        for (; cell < last >> kCellBits; ++cell) {
            cells.words[cell] = code << kCellBits;
        }
        cells.words[cell++] = (code << kCellBits) + kCellMask - (last & kCellMask);
    }
    for (; cell < kCells; ++cell) {
        cells.words[cell] = (kCodes - 1) << kCellBits;
    }
    return cells;
}

alignas(64) static constexpr DynamicCells kDynamicCells = make_dynamic_cells();

// The code of t in [-1, 1].
GRADWIRE_BOTH inline std::uint32_t dynamic_code(float t, const std::uint32_t* cells) noexcept {
    const std::uint32_t place = dynamic_place(t);
    return (cells[place >> kCellBits] + (place & kCellMask)) >> kCellBits;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
