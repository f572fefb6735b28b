// What adding a run of numbers >= 0 does to a sum of float64, whatever the sum is.
//
// While a sum stays in its binade, each addition raises it by a whole number of its last places,
// which depends on the number and, where it is a tie, on whether the sum is even or odd. So a run
// of additions is two integers: what it raises an even sum and an odd sum by. Runs can be joined in
// any grouping, and many of them found at a time; where the sum that comes in is in another binade,
// or leaves it on the way, the additions have to be made one by one.
#pragma once

#include <cstdint>
#include <cstring>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr unsigned kDoubleMantissa = 52;  // bits

GRADWIRE_BOTH inline std::uint64_t double_bits(double x) noexcept {
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

GRADWIRE_BOTH inline double bits_double(std::uint64_t bits) noexcept {
    double x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// As a double stores it.
GRADWIRE_BOTH inline std::uint32_t exponent_of(std::uint64_t bits) noexcept {
    return static_cast<std::uint32_t>(bits >> kDoubleMantissa);
}

struct Run {
    static constexpr std::uint32_t kNothing = 0;       // only zeros: of any sum
    static constexpr std::uint32_t kUnknown = 0x7FFU;  // one by one
    static constexpr std::uint64_t kBinade = std::uint64_t{1} << kDoubleMantissa;

    std::uint64_t even, odd;  // last places
    std::uint32_t exponent;   // of the sums that this is true of

    GRADWIRE_BOTH static Run nothing() noexcept { return {0, 0, kNothing}; }
    GRADWIRE_BOTH static Run unknown() noexcept { return {0, 0, kUnknown}; }
};

// Adds a run of numbers to an even and to an odd sum of one binade.
struct RunFinder {
    double even, odd;
    std::uint64_t start;  // the even one

    // For sums like this one.
    GRADWIRE_BOTH explicit RunFinder(double like) noexcept
        : start(double_bits(like) & ~(Run::kBinade - 1)) {
        even = bits_double(start);
        odd = start == 0 ? 0.0 : bits_double(start + 1);
    }
    GRADWIRE_BOTH void add(double x) noexcept {
        even = even + x;
        odd = odd + x;
    }
    GRADWIRE_BOTH Run result() const noexcept {
        const std::uint32_t exponent = exponent_of(start);
        if (exponent == 0) {
            return even == 0.0 ? Run::nothing() : Run::unknown();
        }
        // Infinities and NaN have no binade.
        if (exponent >= Run::kUnknown || exponent_of(double_bits(odd)) != exponent) {
            return Run::unknown();
        }
        return {double_bits(even) - start, double_bits(odd) - (start + 1), exponent};
    }
};

GRADWIRE_BOTH inline Run join_runs(const Run& first, const Run& second) noexcept {
    if (first.exponent == Run::kNothing) {
        return second;
    }
    if (second.exponent == Run::kNothing) {
        return first;
    }
    if (first.exponent != second.exponent || first.exponent == Run::kUnknown) {
        return Run::unknown();
    }
    const std::uint64_t even = first.even + (first.even % 2 == 0 ? second.even : second.odd);
    const std::uint64_t odd = first.odd + (first.odd % 2 == 0 ? second.odd : second.even);
    if (even >= Run::kBinade || odd >= Run::kBinade) {
        return Run::unknown();
    }
    return {even, odd, first.exponent};
}

// Whether the run could be added.
GRADWIRE_BOTH inline bool add_run(const Run& run, double* sum) noexcept {
    if (run.exponent == Run::kNothing) {
        return true;
    }
    const std::uint64_t bits = double_bits(*sum);
    const std::uint64_t raised = bits + (bits % 2 == 0 ? run.even : run.odd);
    if (run.exponent == Run::kUnknown || exponent_of(bits) != run.exponent ||
        exponent_of(raised) != run.exponent) {
        return false;
    }
    *sum = bits_double(raised);
    return true;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
