// Where a selection takes its vector from, sixteen lanes at a time: an array, or one that comes
// into being on the way. `lanes` and `tail` ask for each element once, from the first to the last;
// `peek` has no effect; `pass` makes elements come into being that nobody looks at; `again` is the
// vector that came into being.
#pragma once

#include <cstdint>

#include "gradwire/residual.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Elements before the first place of p that is aligned to 64 bytes; at most n.
inline std::uint64_t unaligned_head(const float* p, std::uint64_t n) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    const std::uint64_t head = (64 - address % 64) % 64 / sizeof(float);
    return head < n ? head : n;
}

template <bool streamed>
GRADWIRE_SIMD void put(float* p, Floats x) noexcept {
    if constexpr (streamed) {
        stream(p, x);
    } else {
        store(p, x);
    }
}

// Calls use(lanes) for all of x; lanes beyond its end are zero.
template <typename T, typename Use>
GRADWIRE_SIMD void for_all_lanes(const T* x, std::uint64_t n, Use use) noexcept {
    std::uint64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        use(load(x + i));
    }
    if (i < n) {
        use(load_first(x + i, n - i));
    }
}

// x itself.
template <typename T>
struct Plain {
    const T* x;

    GRADWIRE_SIMD Floats peek(std::uint64_t i) const noexcept { return load(x + i); }
    GRADWIRE_SIMD Floats lanes(std::uint64_t i) const noexcept { return load(x + i); }
    GRADWIRE_SIMD Floats tail(std::uint64_t i, std::uint64_t count) const noexcept {
        return load_first(x + i, count);
    }
    void pass(std::uint64_t, std::uint64_t) const noexcept {}
    Plain again() const noexcept { return *this; }
};

template <typename Source>
void pass_over(const Source& source, std::uint64_t begin, std::uint64_t end) noexcept {
    std::uint64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
        source.lanes(i);
    }
    if (i < end) {
        source.tail(i, end - i);
    }
}

// acc = residual + gradient, in this operand order (it decides which NaN survives). Streamed: acc
// is aligned at the places that `lanes` is asked for.
template <typename T, bool streamed>
struct Compensated {
    const T* gradient;
    const float* residual;
    float* acc;

    GRADWIRE_SIMD Floats peek(std::uint64_t i) const noexcept {
        return load(residual + i) + load(gradient + i);
    }
    GRADWIRE_SIMD Floats lanes(std::uint64_t i) const noexcept {
        const Floats sum = peek(i);
        put<streamed>(acc + i, sum);
        return sum;
    }
    GRADWIRE_SIMD Floats tail(std::uint64_t i, std::uint64_t count) const noexcept {
        const Floats sum = load_first(residual + i, count) + load_first(gradient + i, count);
        store_first(acc + i, count, sum);
        return sum;
    }
    void pass(std::uint64_t begin, std::uint64_t end) const noexcept {
        pass_over(*this, begin, end);
    }
    Plain<float> again() const noexcept { return {acc}; }
};

// Calls work(source, head) with the source that suits the arrays; groups of lanes are to begin at
// head, which is below 16.
template <typename T, typename Work>
GRADWIRE_SIMD auto with_compensated(const T* gradient, const float* residual, std::uint64_t n,
                                    float* acc, Work work) noexcept {
    if (n >= kStreamed && static_cast<const void*>(acc) != static_cast<const void*>(gradient)) {
        const Compensated<T, true> source{gradient, residual, acc};
        return work(source, unaligned_head(acc, n));
    }
    return work(Compensated<T, false>{gradient, residual, acc}, std::uint64_t{0});
}

// The new residual of momentum correction (see residual.h); writes the new momentum, too.
template <typename T, bool nesterov>
struct MomentumCorrected {
    Momentum<T> arrays;

    struct Pair {
        Floats momentum;
        Floats acc;
    };

    GRADWIRE_SIMD Pair next(Floats g, Floats u, Floats v) const noexcept {
        const Floats m = floats(arrays.factor);
        if constexpr (nesterov) {
            const Floats updated = m * (u + g);
            return {updated, (v + updated) + g};
        } else {
            const Floats updated = m * u + g;
            return {updated, v + updated};
        }
    }
    GRADWIRE_SIMD Floats peek(std::uint64_t i) const noexcept {
        return next(load(arrays.gradient + i), load(arrays.momentum + i), load(arrays.residual + i))
            .acc;
    }
    GRADWIRE_SIMD Floats lanes(std::uint64_t i) const noexcept {
        const Pair pair =
            next(load(arrays.gradient + i), load(arrays.momentum + i), load(arrays.residual + i));
        store(arrays.out_momentum + i, pair.momentum);
        store(arrays.acc + i, pair.acc);
        return pair.acc;
    }
    GRADWIRE_SIMD Floats tail(std::uint64_t i, std::uint64_t count) const noexcept {
        const Pair pair =
            next(load_first(arrays.gradient + i, count), load_first(arrays.momentum + i, count),
                 load_first(arrays.residual + i, count));
        store_first(arrays.out_momentum + i, count, pair.momentum);
        store_first(arrays.acc + i, count, pair.acc);
        return pair.acc;
    }
    void pass(std::uint64_t begin, std::uint64_t end) const noexcept {
        pass_over(*this, begin, end);
    }
    Plain<float> again() const noexcept { return {arrays.acc}; }
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
