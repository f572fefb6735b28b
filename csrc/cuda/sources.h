// Where a selection takes its vector from, four elements at a time: an array, or one that comes
// into being on the way. It is asked for each element once, in two steps: `load` reads (quads that
// are whole words if so told), `finish` computes and writes. Beyond the end of the vector elements
// are zeros. `peek` has no effect. `again` is the vector that came into being.
#pragma once

#include <cstdint>

#include "gradwire/residual.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {

template <bool whole, typename T>
GRADWIRE_DEVICE Quad<T> load_source(const T* x, std::uint64_t i, std::uint64_t n) {
    if constexpr (whole) {
        return load_whole_quad(x, i);
    } else {
        return load_quad(x, i, n);
    }
}

// x itself.
template <typename T>
struct Plain {
    using Raw = Quad<T>;
    static constexpr unsigned kAhead = 4;  // quads to read before the first is used

    const T* x;

    GRADWIRE_DEVICE bool in_words() const { return cuda::in_words(x); }
    template <bool whole>
    GRADWIRE_DEVICE Raw load(std::uint64_t i, std::uint64_t n) const {
        return load_source<whole>(x, i, n);
    }
    GRADWIRE_DEVICE Quad<float> finish(const Raw& raw, std::uint64_t, std::uint64_t) const {
        return to_floats(raw);
    }
    GRADWIRE_DEVICE Quad<float> peek(std::uint64_t i, std::uint64_t n) const {
        return load_floats(x, i, n);
    }
    Plain again() const noexcept { return *this; }
};

// acc = residual + gradient.
template <typename T>
struct Compensated {
    struct Raw {
        Quad<T> gradient;
        Quad<float> residual;
    };
    static constexpr unsigned kAhead = sizeof(T) == 8 ? 2 : 4;

    const T* gradient;
    const float* residual;
    float* acc;

    GRADWIRE_DEVICE bool in_words() const {
        return cuda::in_words(gradient) && cuda::in_words(residual);
    }
    template <bool whole>
    GRADWIRE_DEVICE Raw load(std::uint64_t i, std::uint64_t n) const {
        return {load_source<whole>(gradient, i, n), load_source<whole>(residual, i, n)};
    }
    GRADWIRE_DEVICE static Quad<float> sums(const Raw& raw) {
        const Quad<float> g = to_floats(raw.gradient);
        const Quad<float>& r = raw.residual;
        return {{r.at[0] + g.at[0], r.at[1] + g.at[1], r.at[2] + g.at[2], r.at[3] + g.at[3]}};
    }
    GRADWIRE_DEVICE Quad<float> finish(const Raw& raw, std::uint64_t i, std::uint64_t n) const {
        const Quad<float> all = sums(raw);
        store_quad(acc, i, n, all);
        return all;
    }
    GRADWIRE_DEVICE Quad<float> peek(std::uint64_t i, std::uint64_t n) const {
        return sums(load<false>(i, n));
    }
    Plain<float> again() const noexcept { return Plain<float>{acc}; }
};

// The new residual of momentum correction (see gradwire/residual.h), and the new momentum beside.
template <typename T, bool nesterov>
struct MomentumCorrected {
    struct Raw {
        Quad<T> gradient;
        Quad<float> momentum;
        Quad<float> residual;
    };
    struct Pair {
        Quad<float> momentum;
        Quad<float> acc;
    };
    static constexpr unsigned kAhead = sizeof(T) == 8 ? 1 : 2;  // as many as registers hold

    Momentum<T> arrays;

    GRADWIRE_DEVICE bool in_words() const {
        return cuda::in_words(arrays.gradient) && cuda::in_words(arrays.momentum) &&
               cuda::in_words(arrays.residual);
    }
    template <bool whole>
    GRADWIRE_DEVICE Raw load(std::uint64_t i, std::uint64_t n) const {
        return {load_source<whole>(arrays.gradient, i, n),
                load_source<whole>(arrays.momentum, i, n),
                load_source<whole>(arrays.residual, i, n)};
    }
    GRADWIRE_DEVICE Pair next(const Raw& raw, std::uint64_t i, std::uint64_t n) const {
        const Quad<float> g = to_floats(raw.gradient);
        const Quad<float>&u = raw.momentum, &v = raw.residual;
        const float m = arrays.factor;
        Pair pair;
        GRADWIRE_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
            if constexpr (nesterov) {
                pair.momentum.at[j] = m * (u.at[j] + g.at[j]);
                pair.acc.at[j] = (v.at[j] + pair.momentum.at[j]) + g.at[j];
            } else {
                pair.momentum.at[j] = m * u.at[j] + g.at[j];
                pair.acc.at[j] = v.at[j] + pair.momentum.at[j];
            }
            if (i + j >= n) {  // whatever the factor is
                pair.acc.at[j] = 0.0F;
            }
        }
        return pair;
    }
    GRADWIRE_DEVICE Quad<float> finish(const Raw& raw, std::uint64_t i, std::uint64_t n) const {
        const Pair pair = next(raw, i, n);
        store_quad(arrays.out_momentum, i, n, pair.momentum);
        store_quad(arrays.acc, i, n, pair.acc);
        return pair.acc;
    }
    GRADWIRE_DEVICE Quad<float> peek(std::uint64_t i, std::uint64_t n) const {
        return next(load<false>(i, n), i, n).acc;
    }
    Plain<float> again() const noexcept { return Plain<float>{arrays.acc}; }
};

}  // namespace cuda
}  // namespace gradwire
