// Statistics that stay on the device: nothing here waits.
#pragma once

#include <cstdint>

#include "gradwire/statistics.h"

namespace gradwire {
inline namespace cuda {

template <typename T>
void enqueue_absmax(const T* x, std::uint64_t n, float* result) noexcept;

// 1 if no element is infinite or NaN, else 0.
template <typename T>
void enqueue_finite_check(const T* x, std::uint64_t n, std::uint32_t* result) noexcept;

// Bytes of workspace, aligned to 8.
std::uint64_t norm_workspace(std::uint64_t n) noexcept;
template <typename T>
void enqueue_norm(const T* x, std::uint64_t n, unsigned order, void* workspace,
                  double* result) noexcept;

// kth_magnitude_workspace(n) bytes of workspace, aligned to 16.
template <typename T>
void enqueue_kth_magnitude(const T* x, std::uint64_t n, std::uint64_t k, void* workspace,
                           float* result) noexcept;

}  // namespace cuda
}  // namespace gradwire
