// Exact k-th largest magnitude by histograms of its leading bits, digit by digit.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Digit {
    unsigned shift;
    unsigned bits;
};

// 13 bits first (exponent and 5 of the mantissa): the k-th bin of gradient-like data then holds
// well under one percent of the elements, so one digit is nearly always enough for top-k.
constexpr Digit kDigits[] = {{18, 13}, {9, 9}, {0, 9}};
constexpr unsigned kDigitCount = 3;
// Two interleaved tables: neighbours that fall into one bin do not wait for each other's store.
constexpr std::uint64_t kLanes = 2;
constexpr std::uint64_t kBins = std::uint64_t{1} << 13;
constexpr std::uint64_t kCountsBytes = kLanes * kBins * sizeof(std::uint32_t);

// Where the k-th largest magnitude lies.
struct Cut {
    std::uint32_t low;     // smallest magnitude of its bin
    std::uint64_t above;   // elements above the bin: fewer than k
    std::uint64_t inside;  // elements in the bin
    bool exact;            // the bin is one magnitude wide: low is the k-th
    bool enough;           // there are k non-zeros; if not, the rest says nothing
};

// Adds x[0..n) to the counts of the first digit; zeros are left out.
void count_first_digit(const float* x, std::uint64_t n, std::uint32_t* counts) noexcept;

void reset_counts(std::uint32_t* counts) noexcept;

// Narrows down to a bin that holds the k-th largest (k >= 1), until above + inside <= room or the
// bin is one magnitude wide. `counted`: the first digit of all of x is in counts already.
Cut narrow(const float* x, std::uint64_t n, std::uint64_t k, std::uint64_t room,
           std::uint32_t* counts, bool counted) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
