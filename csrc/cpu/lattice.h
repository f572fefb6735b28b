// The arithmetic of gradwire/quantize.h, sixteen elements at a time.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/lattice.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

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
        const Words fixed = round_to_nearest(position(x) * floats(kFixedOne));
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
