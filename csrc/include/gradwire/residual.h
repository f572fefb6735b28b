// What error feedback does to arrays besides selecting (select.h fuses the two).
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// The arrays of momentum correction (Deep Gradient Compression, Lin et al. 2018, section 3.1), with
// u the momentum and v the residual:
//   plain     u = m u + g        v = v + u
//   Nesterov  u = m (u + g)      v = (v + u) + g
// The old u and v are only read. out_momentum may be the gradient itself if T is float; nothing
// else may overlap.
template <typename T>
struct Momentum {
    const T* gradient;
    const float* momentum;
    const float* residual;
    float factor;  // m
    bool nesterov;
    float* out_momentum;
    float* acc;  // the new v
};

// x[indices] = +0. Indices must be strictly increasing and < n; checked before anything is written.
// T: float, double, bfloat16 or float16.
template <typename T>
Status clear(T* x, std::uint64_t n, const std::uint32_t* indices, std::uint64_t count) noexcept;

// The same for all of x.
template <typename T>
void clear(T* x, std::uint64_t n) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
