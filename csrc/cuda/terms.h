// Sums of float64 in the order of gradwire/quantize.h and gradwire/sign.h: element i of a block is
// added to sum i % 16, in index order.
#pragma once

#include <cstdint>

#include "gradwire/scales.h"
#include "simt.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kSums = 16;

// What is added, and what the sum of a block of `count` makes its scale.

struct Squares {  // exact in float64
    GRADWIRE_DEVICE static double term(float x) {
        const auto wide = static_cast<double>(x);
        return wide * wide;
    }
    GRADWIRE_DEVICE static float scale(double sum, std::uint64_t) { return norm_of(sum); }
};

struct Magnitudes {
    GRADWIRE_DEVICE static double term(float x) {
        return static_cast<double>(bits_float(magnitude(x)));
    }
    GRADWIRE_DEVICE static float scale(double sum, std::uint64_t count) {
        return mean_of(sum, count);
    }
};

// Adds the sums of 16 lanes i to i + 8, i + 4, i + 2, i + 1; the first one has the result.
GRADWIRE_DEVICE double add_sums(double sum) {
    for (int distance = kSums / 2; distance != 0; distance /= 2) {
        sum = sum + __shfl_xor_sync(kFullWarp, sum, distance);
    }
    return sum;
}

}  // namespace cuda
}  // namespace gradwire
