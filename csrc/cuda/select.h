// Selections that are only put on the queue (queue.h): their results are in device memory when it
// gets there, so nobody waits, and a CUDA graph can hold them. The functions of gradwire/select.h
// do the same and wait.
//
// `workspace` is device memory, aligned to 64, of as many bytes as the function named says.
#pragma once

#include <cstdint>

#include "gradwire/select.h"
#include "simt.h"

namespace gradwire {
inline namespace cuda {

// A number that the caller knows, or one that lies in device memory when its turn comes.
struct Given {
    const float* at;  // null: value
    float value;

    GRADWIRE_DEVICE float get() const { return at == nullptr ? value : *at; }
};

inline Given given(float value) noexcept {
    return {nullptr, value};
}

std::uint64_t enqueued_select_workspace(std::uint64_t n) noexcept;

template <typename T>
void enqueue_select(const T* x, std::uint64_t n, Given threshold, Entries out, void* workspace,
                    Selection* result) noexcept;

template <typename T>
void enqueue_compensate_select(const T* gradient, const float* residual, std::uint64_t n,
                               Given threshold, float* acc, Entries out, void* workspace,
                               Selection* result) noexcept;

template <typename T>
void enqueue_momentum_select(const Momentum<T>& arrays, std::uint64_t n, Given threshold,
                             Entries out, void* workspace, Selection* result) noexcept;

// More than topk_workspace: n / 256 bytes come on top.
std::uint64_t enqueued_topk_workspace(std::uint64_t n, std::uint64_t k) noexcept;

// out.capacity is at least min(k, n).
template <typename T>
void enqueue_topk(const T* x, std::uint64_t n, std::uint64_t k, Entries out, void* workspace,
                  Selection* result) noexcept;

template <typename T>
void enqueue_compensate_topk(const T* gradient, const float* residual, std::uint64_t n,
                             std::uint64_t k, Given floor, float* acc, Entries out, void* workspace,
                             Selection* result) noexcept;

template <typename T>
void enqueue_momentum_topk(const Momentum<T>& arrays, std::uint64_t n, std::uint64_t k, Given floor,
                           Entries out, void* workspace, Selection* result) noexcept;

}  // namespace cuda
}  // namespace gradwire
