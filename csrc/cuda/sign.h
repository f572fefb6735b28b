#pragma once

#include <cstdint>

#include "gradwire/sign.h"

namespace gradwire {
inline namespace cuda {

// The operations of gradwire/sign.h in memory that the caller gives: nothing waits.

// Bytes, aligned to 16; most often none.
std::uint64_t sign_workspace(std::uint64_t n, std::uint64_t block, bool given) noexcept;

template <typename T>
void enqueue_quantize_sign(const T* x, std::uint64_t n, std::uint64_t block, bool given,
                           float* scales, std::uint8_t* codes, void* workspace) noexcept;

template <typename T>
void enqueue_compensate_sign(const T* gradient, const float* residual, std::uint64_t n,
                             std::uint64_t block, bool given, float* error, float* scales,
                             std::uint8_t* codes, void* workspace) noexcept;

}  // namespace cuda
}  // namespace gradwire
