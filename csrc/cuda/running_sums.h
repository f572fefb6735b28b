// Sums of all elements before each one, of up to 2^22 elements: one block goes over them, which
// takes an estimated microsecond for each 4096.
#pragma once

#include <cstdint>

#include "queue.h"
#include "reduce.h"
#include "simt.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kSumThreads = 1024;
constexpr unsigned kSumElements = 4;  // of a thread at a time

// before[0..n]: the last one is the sum of all. of(i) is element i, an integer.
template <typename Of>
__global__ void __launch_bounds__(kSumThreads)
    running_sums_kernel(Of of, std::uint64_t n, std::uint64_t* before) {
    std::uint64_t sum = 0;
    for (std::uint64_t first = 0; first < n; first += blockDim.x * kSumElements) {
        const std::uint64_t i = first + threadIdx.x * kSumElements;
        std::uint64_t own[kSumElements];
        std::uint64_t all_own = 0;
        for (unsigned j = 0; j < kSumElements; ++j) {
            own[j] = i + j < n ? of(i + j) : 0;
            all_own += own[j];
        }
        const SumSoFar<std::uint64_t> sums = block_sum_so_far(all_own);
        std::uint64_t here = sum + sums.before;
        for (unsigned j = 0; j < kSumElements; ++j) {
            if (i + j < n) {
                before[i + j] = here;
            }
            here += own[j];
        }
        sum += sums.all;
    }
    if (threadIdx.x == 0) {
        before[n] = sum;
    }
}

// Whole warps for n elements, of which each thread has some; at most so many threads.
inline unsigned threads_for(std::uint64_t n, unsigned of_thread, unsigned most) noexcept {
    const std::uint64_t warps = (n + of_thread * kWarp - 1) / (of_thread * kWarp);
    return warps * kWarp < most ? static_cast<unsigned>(warps == 0 ? 1 : warps) * kWarp : most;
}

template <typename T>
struct Elements {
    const T* at;

    GRADWIRE_DEVICE std::uint64_t operator()(std::uint64_t i) const { return at[i]; }
};

template <typename Of>
void running_sums(Of of, std::uint64_t n, std::uint64_t* before) noexcept {
    launch(1, threads_for(n, kSumElements, kSumThreads), running_sums_kernel<Of>, of, n, before);
}

}  // namespace cuda
}  // namespace gradwire
