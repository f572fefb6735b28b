// The numbers that the codes of one block stand for, and the arithmetic of gradwire/quantize.h.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"
#include "gradwire/quantize.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr float kTiny = 0x1p-100F;
constexpr float kLiftOfTiny = 0x1p64F;

inline bool is_infinite(float x) noexcept {
    return magnitude(x) == kInfinityMagnitude;
}

struct Lattice {
    float lift;
    float base;
    float inverse;
    float step;
    float unlift;   // 1 / lift
    float highest;  // decoded value, minmax only
    float levels;
    float offset;  // of codes: levels, or 0 for minmax
};

inline Lattice make_lattice(float lift, float base, float width, float highest, float levels,
                            float offset) noexcept {
    const float inverse = width == 0.0F ? 0.0F : levels / width;
    return {lift, base, inverse, width / levels, 1.0F / lift, highest, levels, offset};
}

inline Lattice symmetric_lattice(float scale, unsigned levels) noexcept {
    const float lift = scale > 0.0F && scale < kTiny ? kLiftOfTiny : 1.0F;
    const auto count = static_cast<float>(levels);
    return make_lattice(lift, 0.0F, scale * lift, 0.0F, count, count);
}

inline Lattice minmax_lattice(float low, float high, unsigned bits) noexcept {
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
inline Lattice lattice_of(const Grid& grid, const float* scales, std::uint64_t block) noexcept {
    if (grid.scale == Scale::minmax) {
        return minmax_lattice(scales[2 * block], scales[2 * block + 1], grid.bits);
    }
    return symmetric_lattice(scales[block], grid.levels);
}

// 16 copies of everything; what a grid has no use for is optimised away.
template <bool minmax>
class LatticeLanes {
  public:
    explicit GRADWIRE_SIMD LatticeLanes(const Lattice& x) noexcept
        : lift_(floats(x.lift)),
          base_(floats(x.base)),
          inverse_(floats(x.inverse)),
          step_(floats(x.step)),
          unlift_(floats(x.unlift)),
          limit_(floats(x.highest)),
          least_(floats(-x.offset)),
          most_(floats(x.levels)),
          offset_(floats(x.offset)),
          code_offset_(words(static_cast<std::uint32_t>(x.offset))),
          rounding_offset_(words((static_cast<std::uint32_t>(x.offset) << 16) + 0xFFFFU)) {}

    // x in steps from 0 (minmax: from the lowest value), confined; NaN: the lowest.
    GRADWIRE_SIMD Floats position(Floats x) const noexcept {
        Floats place = x * lift_;
        if (minmax) {
            place = place - base_;
        }
        return smaller(larger(place * inverse_, least_), most_);
    }
    GRADWIRE_SIMD Words nearest(Floats x) const noexcept {
        return code(round_to_nearest(position(x)));
    }
    GRADWIRE_SIMD Words stochastic(Floats x, Words random) const noexcept {
        const Words fixed = round_to_nearest(position(x) * floats(65536.0F));
        return shift_right<16>(fixed + (rounding_offset_ - random));
    }
    GRADWIRE_SIMD Floats value(Words code) const noexcept {
        if (minmax) {
            return smaller(limit_, (to_floats(code) * step_ + base_) * unlift_);
        }
        return (to_floats(code) - offset_) * step_ * unlift_;
    }

  private:
    GRADWIRE_SIMD Words code(Words q) const noexcept { return minmax ? q : q + code_offset_; }

    Floats lift_, base_, inverse_, step_, unlift_, limit_, least_, most_, offset_;
    Words code_offset_, rounding_offset_;
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
