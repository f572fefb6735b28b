// Reductions of a block, 16 lanes at a time in index order, so that every instruction set adds the
// same numbers in the same order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"
#include "partial.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// The 16 partial sums, added i to i + 8, then i + 4, i + 2, i + 1.
inline double sum_of_lanes(Doubles x) noexcept {
    alignas(64) double lane[kLanes];
    store(lane, x);
    for (std::uint64_t half = kLanes / 2; half != 0; half /= 2) {
        for (std::uint64_t i = 0; i < half; ++i) {
            lane[i] = lane[i] + lane[i + half];
        }
    }
    return lane[0];
}

class MaxMagnitude {  // as the bits of a float32; see gradwire/magnitude.h
  public:
    GRADWIRE_SIMD void add(Floats x) noexcept {
        most_ = larger(most_, as_words(x) & words(kMagnitudeMask));
    }
    GRADWIRE_SIMD void add_first(Floats x, Mask lanes) noexcept {
        add(choose(lanes, x, floats(0.0F)));
    }
    std::uint32_t result() const noexcept {
        alignas(64) std::uint32_t lane[kLanes];
        store(lane, most_);
        std::uint32_t most = 0;
        for (const std::uint32_t each : lane) {
            most = std::max(most, each);
        }
        return most;
    }

  private:
    Words most_ = words(0);
};

class SumOfSquares {  // products of float32 are exact in float64
  public:
    GRADWIRE_SIMD void add(Floats x) noexcept {
        const Doubles wide = widen(x);
        sums_ = sums_ + wide * wide;
    }
    GRADWIRE_SIMD void add_first(Floats x, Mask lanes) noexcept {
        add(choose(lanes, x, floats(0.0F)));
    }
    double result() const noexcept { return sum_of_lanes(sums_); }

  private:
    Doubles sums_ = doubles(0.0);
};

class SumOfMagnitudes {
  public:
    GRADWIRE_SIMD void add(Floats x) noexcept {
        sums_ = sums_ + widen(as_floats(as_words(x) & words(kMagnitudeMask)));
    }
    GRADWIRE_SIMD void add_first(Floats x, Mask lanes) noexcept {
        add(choose(lanes, x, floats(0.0F)));
    }
    double result() const noexcept { return sum_of_lanes(sums_); }

  private:
    Doubles sums_ = doubles(0.0);
};

class Extremes {  // not of NaN: `magnitude` tells
  public:
    struct Result {
        float low;
        float high;
        std::uint32_t magnitude;
    };
    GRADWIRE_SIMD void add(Floats x) noexcept {
        low_ = smaller(x, low_);
        high_ = larger(x, high_);
        magnitude_.add(x);
    }
    GRADWIRE_SIMD void add_first(Floats x, Mask lanes) noexcept {
        low_ = smaller(choose(lanes, x, low_), low_);
        high_ = larger(choose(lanes, x, high_), high_);
        magnitude_.add_first(x, lanes);
    }
    Result result() const noexcept {
        alignas(64) float low[kLanes];
        alignas(64) float high[kLanes];
        store(low, low_);
        store(high, high_);
        for (std::uint64_t i = 1; i < kLanes; ++i) {
            low[0] = low[i] < low[0] ? low[i] : low[0];
            high[0] = high[i] > high[0] ? high[i] : high[0];
        }
        // Of zeros of both signs, which one is found depends on their order: +0 it is.
        return {low[0] + 0.0F, high[0] + 0.0F, magnitude_.result()};
    }

  private:
    Floats low_ = floats(bits_float(kInfinityMagnitude));
    Floats high_ = floats(-bits_float(kInfinityMagnitude));
    MaxMagnitude magnitude_;
};

// What a block is read from: an array, or the sum of two. Sums are computed anew each time: both
// arrays are in the cache by then, and what was just stored may not be.

template <typename T>
struct Plain {
    const T* x;

    GRADWIRE_SIMD Floats all(std::uint64_t i) const noexcept { return load(x + i); }
    GRADWIRE_SIMD Floats first(std::uint64_t i, std::uint64_t count) const noexcept {
        return load_partial(x + i, count);
    }
    Plain from(std::uint64_t begin) const noexcept { return {x + begin}; }
};

template <typename T>
struct Compensated {
    const T* gradient;
    const float* residual;

    GRADWIRE_SIMD Floats all(std::uint64_t i) const noexcept {
        return load(residual + i) + load(gradient + i);
    }
    GRADWIRE_SIMD Floats first(std::uint64_t i, std::uint64_t count) const noexcept {
        return load_partial(residual + i, count) + load_partial(gradient + i, count);
    }
    Compensated from(std::uint64_t begin) const noexcept {
        return {gradient + begin, residual + begin};
    }
};

template <typename Reduction, typename Source>
Reduction reduce(const Source& source, std::uint64_t begin, std::uint64_t size) noexcept {
    Reduction reduction;
    std::uint64_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
        reduction.add(source.all(begin + i));
    }
    if (i < size) {
        reduction.add_first(source.first(begin + i, size - i), first_lanes(size - i));
    }
    return reduction;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
