#pragma once

#include <cstdint>

#include "gradwire/quantize.h"

namespace gradwire {
inline namespace cuda {

// The operations of gradwire/quantize.h in memory that the caller gives: nothing waits. The step of
// the random stream is read from device memory when the work is done, unless it is null.

// Bytes, aligned to 16; most often none.
std::uint64_t quantize_workspace(std::uint64_t n, const Encoding& how) noexcept;

template <typename T>
void enqueue_quantize(const T* x, std::uint64_t n, const Encoding& how, const std::uint32_t* step,
                      float* scales, std::uint8_t* codes, void* workspace) noexcept;

template <typename T>
void enqueue_compensate_quantize(const T* gradient, const float* residual, std::uint64_t n,
                                 const Encoding& how, const std::uint32_t* step, float* error,
                                 float* scales, std::uint8_t* codes, void* workspace) noexcept;

}  // namespace cuda
}  // namespace gradwire
