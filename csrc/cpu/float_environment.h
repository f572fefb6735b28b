// Frameworks may switch a thread to flush denormals to zero; sums must not depend on that.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// While it lives, this thread keeps denormals and rounds to nearest.
class IeeeArithmetic {
  public:
#if defined(__SSE2__)
    IeeeArithmetic() noexcept : saved_(_mm_getcsr()) {
        _mm_setcsr(saved_ & ~kNotIeee);
        stay_inside();
    }
    ~IeeeArithmetic() {
        stay_inside();
        _mm_setcsr(saved_);
    }
#else
    IeeeArithmetic() noexcept {}
    ~IeeeArithmetic() {}
#endif
    IeeeArithmetic(const IeeeArithmetic&) = delete;
    IeeeArithmetic& operator=(const IeeeArithmetic&) = delete;

  private:
#if defined(__SSE2__)
    // Compilers move arithmetic across a change of the modes, but nothing that reads or writes
    // memory across this.
    static void stay_inside() noexcept { __asm__ volatile("" ::: "memory"); }

    // MXCSR: flush to zero (bit 15), rounding mode (14, 13), denormals are zero (bit 6).
    static constexpr unsigned kNotIeee = 0xE040U;
    unsigned saved_;
#endif
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
