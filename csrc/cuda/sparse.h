// Queued forms of the operations on sparse entries: they put work on the queue, wait for nothing,
// and leave what they find in device memory, for CUDA graphs and for callers who must not wait.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/merge.h"
#include "gradwire/status.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace cuda {

// What is wrong with indices, in a word of device memory: no bit, or these.
constexpr std::uint32_t kNotIncreasing = 1;
constexpr std::uint32_t kOutOfRange = 2;

inline Status status_of(std::uint32_t faults) noexcept {
    if ((faults & kNotIncreasing) != 0) {
        return Status::not_increasing;
    }
    return faults != 0 ? Status::index_out_of_range : Status::ok;
}

// Adds to *faults what is wrong with indices that should be strictly increasing and below n.
void enqueue_find_faults(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n,
                         std::uint32_t* faults) noexcept;

// Sets *faults to that.
void enqueue_check_indices(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n,
                           std::uint32_t* faults) noexcept;

// scatter, scatter_add and clear: nothing is written if *faults is not 0 afterwards.
template <typename T>
void enqueue_scatter(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
                     std::uint64_t count, std::uint32_t* faults) noexcept;
template <typename T>
void enqueue_scatter_add(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
                         std::uint64_t count, std::uint32_t* faults) noexcept;
template <typename T>
void enqueue_clear(T* x, std::uint64_t n, const std::uint32_t* indices, std::uint64_t count,
                   std::uint32_t* faults) noexcept;

// What merge and intersect come to, in device memory.
struct SetResult {
    std::uint64_t count;   // entries of the result, also of those that found no room
    std::uint32_t faults;  // if any, the rest means nothing
    std::uint32_t unused;
};

// Bytes of workspace, aligned to 16, for chunks of `total` entries together.
std::uint64_t merge_workspace(std::uint64_t chunk_count, std::uint64_t total) noexcept;

// `chunks` is the host's and may be reused at once; what it points to is the device's.
void enqueue_merge(const Chunk* chunks, std::uint64_t chunk_count, Entries out, void* workspace,
                   SetResult* result) noexcept;

std::uint64_t intersect_workspace(std::uint64_t a_count) noexcept;

void enqueue_intersect(const std::uint32_t* a, std::uint64_t a_count, const std::uint32_t* b,
                       std::uint64_t b_count, Common out, void* workspace,
                       SetResult* result) noexcept;

}  // namespace cuda
}  // namespace gradwire
