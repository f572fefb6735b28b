// The numbers that the codes of one block stand for, and the arithmetic of gradwire/quantize.h for
// one element.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"
#include "gradwire/quantize.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr float kTiny = 0x1p-100F;
constexpr float kLiftOfTiny = 0x1p64F;
constexpr float kFixedOne = 65536.0F;  // of stochastic rounding

// Symmetric grids have a base and a highest value that change nothing, not even the sign of a
// zero: one formula serves all.
struct Lattice {
    float lift;
    float base;
    float inverse;
    float step;
    float unlift;   // 1 / lift
    float highest;  // decoded value
    float levels;
    float offset;  // of codes: levels, or 0 for minmax
};

GRADWIRE_BOTH inline bool is_infinite(float x) noexcept {
    return magnitude(x) == kInfinityMagnitude;
}

GRADWIRE_BOTH inline Lattice make_lattice(float lift, float base, float width, float highest,
                                          float levels, float offset) noexcept {
    const float inverse = width == 0.0F ? 0.0F : levels / width;
    const float unlift = bits_float(0x7F000000U - float_bits(lift));  // of a power of two
    return {lift, base, inverse, width / levels, unlift, highest, levels, offset};
}

GRADWIRE_BOTH inline Lattice symmetric_lattice(float scale, unsigned levels) noexcept {
    const float lift = scale > 0.0F && scale < kTiny ? kLiftOfTiny : 1.0F;
    const auto count = static_cast<float>(levels);
    return make_lattice(lift, -0.0F, scale * lift, bits_float(kInfinityMagnitude), count, count);
}

GRADWIRE_BOTH inline Lattice minmax_lattice(float low, float high, unsigned bits) noexcept {
    const float range = high - low;
    float lift = range > 0.0F && range < kTiny ? kLiftOfTiny : 1.0F;
    if (is_infinite(range) && !is_infinite(low) && !is_infinite(high)) {
        lift = 0.5F;
    }
    const float base = low * lift;
    const auto count = static_cast<float>((1U << bits) - 1);
    return make_lattice(lift, base, high * lift - base, high, count, 0.0F);
}

// The lattice of block number `block`.
GRADWIRE_BOTH inline Lattice lattice_of(const Grid& grid, const float* scales,
                                        std::uint64_t block) noexcept {
    if (grid.scale == Scale::minmax) {
        return minmax_lattice(scales[2 * block], scales[2 * block + 1], grid.bits);
    }
    return symmetric_lattice(scales[block], grid.levels);
}

// To nearest, ties to even, as two's complement; x in (-2^31, 2^31).
GRADWIRE_BOTH inline std::uint32_t nearest_integer(float x) noexcept {
#if defined(__CUDA_ARCH__)
    return static_cast<std::uint32_t>(__float2int_rn(x));
#else
    constexpr double kOneIsTheLastPlace = 6755399441055744.0;  // 1.5 * 2^52
    const double shifted = static_cast<double>(x) + kOneIsTheLastPlace;
    std::uint64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    return static_cast<std::uint32_t>(bits);
#endif
}

// x in steps from 0 (minmax: from the lowest value), confined; NaN: the lowest.
GRADWIRE_BOTH inline float position_on(const Lattice& lattice, float x) noexcept {
    const float lifted = x * lattice.lift;
    const float place = (lifted - lattice.base) * lattice.inverse;
    return fminf(fmaxf(place, -lattice.offset), lattice.levels);
}

GRADWIRE_BOTH inline std::uint32_t nearest_code(const Lattice& lattice, float x) noexcept {
    return nearest_integer(position_on(lattice, x)) + static_cast<std::uint32_t>(lattice.offset);
}

// With 16 random bits.
GRADWIRE_BOTH inline std::uint32_t stochastic_code(const Lattice& lattice, float x,
                                                   std::uint32_t random) noexcept {
    const std::uint32_t fixed = nearest_integer(position_on(lattice, x) * kFixedOne);
    const std::uint32_t offset = static_cast<std::uint32_t>(lattice.offset) << 16;
    return (fixed + (offset + 0xFFFFU - random)) >> 16;
}

GRADWIRE_BOTH inline float value_on(const Lattice& lattice, std::uint32_t code) noexcept {
    const float multiple =
        (static_cast<float>(static_cast<std::int32_t>(code)) - lattice.offset) * lattice.step;
    const float value = (multiple + lattice.base) * lattice.unlift;
    return lattice.highest < value ? lattice.highest : value;  // NaN if it is that
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
