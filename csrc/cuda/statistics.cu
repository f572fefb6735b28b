// One read of x: sizeof(T) bytes per element.
//
// Maxima: of magnitudes as integers, in registers, then of each block, then by one atomic maximum
// for each block. finite_check is one too: it reads on behind the first element that is not finite,
// for blocks cannot stop each other sooner than they are through.
//
// Histograms: up to 13 bits each block counts in its own memory and adds what is there in the end;
// of wider ones it does so with the bins that it meets first (tally.h).
#include "gradwire/magnitude.h"
#include "queue.h"
#include "statistics.h"
#include "sweep.h"
#include "tally.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kCounting = 512;  // threads that share a table
constexpr unsigned kTablesPerProcessor = 4;
constexpr unsigned kBlocksPerProcessor = 8;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    largest_kernel(const T* x, std::uint64_t n, std::uint32_t* result) {
    std::uint32_t largest = 0;
    sweep(x, n, [&](float value) {
        const std::uint32_t bits = magnitude(value);
        largest = largest < bits ? bits : largest;
    });
    largest = block_largest(largest);
    if (threadIdx.x == 0 && largest != 0) {
        atomicMax(result, largest);
    }
}

// Of the largest magnitude, which the answer replaces.
__global__ void is_finite_kernel(std::uint32_t* result) {
    if (threadIdx.x == 0) {
        *result = *result < kInfinityMagnitude ? 1 : 0;
    }
}

template <typename T>
__global__ void __launch_bounds__(kCounting, 2)
    histogram_kernel(const T* x, std::uint64_t n, Field field, std::uint64_t* counts) {
    GRADWIRE_SHARED(Tables, tables);
    std::uint32_t* const own = begin_tables(tables, field.bits);
    sweep(x, n, [&](float value) {
        const std::uint32_t bits = magnitude(value);
        if (field.has(bits)) {
            atomicAdd(own + field.bin(bits), 1U);
        }
    });
    end_tables(tables, field.bits, counts);
}

template <typename T>
__global__ void __launch_bounds__(kCounting, 2)
    wide_histogram_kernel(const T* x, std::uint64_t n, Field field, std::uint64_t* counts) {
    GRADWIRE_SHARED(Slots, slots);
    begin_slots(slots);
    sweep(x, n, [&](float value) {
        const std::uint32_t bits = magnitude(value);
        if (field.has(bits)) {
            count_one(slots, field.bin(bits), counts);
        }
    });
    end_slots(slots, counts);
}

}  // namespace

template <typename T>
void enqueue_absmax(const T* x, std::uint64_t n, float* result) noexcept {
    set_bytes(result, 0, sizeof *result);
    // Magnitudes are the bits of the floats that they stand for.
    launch(sweep_blocks<T>(n, kThreads, kBlocksPerProcessor), kThreads, largest_kernel<T>, x, n,
           reinterpret_cast<std::uint32_t*>(result));
}

template <typename T>
void enqueue_finite_check(const T* x, std::uint64_t n, std::uint32_t* result) noexcept {
    enqueue_absmax(x, n, reinterpret_cast<float*>(result));
    launch(1, kWarp, is_finite_kernel, result);
}

template <typename T>
float absmax(const T* x, std::uint64_t n) noexcept {
    const Scratch result(sizeof(float));
    enqueue_absmax(x, n, result.as<float>());
    return fetch(result.as<float>());
}

template <typename T>
bool finite_check(const T* x, std::uint64_t n) noexcept {
    return magnitude(absmax(x, n)) < kInfinityMagnitude;
}

template <typename T>
void histogram(const T* x, std::uint64_t n, unsigned shift, unsigned bits, std::uint32_t prefix,
               std::uint64_t* counts) noexcept {
    set_bytes(counts, 0, (std::uint64_t{1} << bits) * sizeof *counts);
    launch(sweep_blocks<T>(n, kCounting, kTablesPerProcessor), kCounting,
           bits <= kTableBits ? histogram_kernel<T> : wide_histogram_kernel<T>, x, n,
           Field{shift, bits, prefix}, counts);
}

#define GRADWIRE_INSTANTIATE(T)                                                           \
    template void enqueue_absmax(const T*, std::uint64_t, float*) noexcept;               \
    template void enqueue_finite_check(const T*, std::uint64_t, std::uint32_t*) noexcept; \
    template bool finite_check(const T*, std::uint64_t) noexcept;                         \
    template float absmax(const T*, std::uint64_t) noexcept;                              \
    template void histogram(const T*, std::uint64_t, unsigned, unsigned, std::uint32_t,   \
                            std::uint64_t*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace cuda
}  // namespace gradwire
