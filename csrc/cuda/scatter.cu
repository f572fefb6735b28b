// Entries into vectors. One thread has a few entries and asks for all their places before it
// writes the first: nearly every one is a memory transaction of 32 bytes of its own, for
// scatter_add and, unless the cache has the rest of it, for the others a read and a write.
//
// Indices are checked by a kernel of their own, which reads them from memory; the next one, which
// writes, finds them in the cache, and leaves at once if something was wrong.
#include "gradwire/residual.h"
#include "gradwire/scatter.h"
#include "queue.h"
#include "sparse.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kEach = 4;  // entries of a thread
constexpr unsigned kTile = kThreads * kEach;

// Entry number j of this thread.
GRADWIRE_DEVICE std::uint64_t own_entry(unsigned j) {
    return std::uint64_t{blockIdx.x} * kTile + j * kThreads + threadIdx.x;
}

__global__ void __launch_bounds__(kThreads)
    check_kernel(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n,
                 std::uint32_t* faults) {
    std::uint32_t found = 0;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kEach; ++j) {
        const std::uint64_t i = own_entry(j);
        if (i + 1 < count) {
            found |= indices[i] < indices[i + 1] ? 0 : kNotIncreasing;
        } else if (i < count) {
            found |= indices[i] < n ? 0 : kOutOfRange;
        }
    }
    if (found != 0) {
        atomicOr(faults, found);
    }
}

struct Replace {
    template <typename T>
    GRADWIRE_DEVICE static T apply(const T*, T value) {
        return value;
    }
};

struct Add {
    template <typename T>
    GRADWIRE_DEVICE static T apply(const T* place, T value) {
        return from_float<T>(to_float(*place) + to_float(value));
    }
    GRADWIRE_DEVICE static double apply(const double* place, double value) {
        return *place + value;
    }
};

// values: null stands for zeros.
template <typename Update, typename T>
__global__ void __launch_bounds__(kThreads)
    update_kernel(T* out, const std::uint32_t* indices, const T* values, std::uint64_t count,
                  const std::uint32_t* faults) {
    if (*faults != 0) {
        return;
    }
    std::uint32_t places[kEach];
    T results[kEach];
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kEach; ++j) {
        const std::uint64_t i = own_entry(j);
        if (i < count) {
            places[j] = indices[i];
            results[j] = Update::apply(out + places[j], values != nullptr ? values[i] : T{});
        }
    }
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kEach; ++j) {
        if (own_entry(j) < count) {
            out[places[j]] = results[j];
        }
    }
}

template <typename Update, typename T>
void enqueue_update(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
                    std::uint64_t count, std::uint32_t* faults) noexcept {
    enqueue_check_indices(indices, count, n, faults);
    launch(blocks_for(count, kTile), kThreads, update_kernel<Update, T>, out, indices, values,
           count, faults);
}

template <typename Update, typename T>
Status update(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
              std::uint64_t count) noexcept {
    const Scratch scratch(sizeof(std::uint32_t));
    auto* const faults = scratch.as<std::uint32_t>();
    enqueue_update<Update>(out, n, indices, values, count, faults);
    return status_of(fetch(faults));
}

}  // namespace

void enqueue_find_faults(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n,
                         std::uint32_t* faults) noexcept {
    launch(blocks_for(count, kTile), kThreads, check_kernel, indices, count, n, faults);
}

void enqueue_check_indices(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n,
                           std::uint32_t* faults) noexcept {
    set_bytes(faults, 0, sizeof *faults);
    enqueue_find_faults(indices, count, n, faults);
}

Status check_indices(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n) noexcept {
    const Scratch scratch(sizeof(std::uint32_t));
    auto* const faults = scratch.as<std::uint32_t>();
    enqueue_check_indices(indices, count, n, faults);
    return status_of(fetch(faults));
}

template <typename T>
void enqueue_scatter(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
                     std::uint64_t count, std::uint32_t* faults) noexcept {
    enqueue_update<Replace>(out, n, indices, values, count, faults);
}

template <typename T>
void enqueue_scatter_add(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
                         std::uint64_t count, std::uint32_t* faults) noexcept {
    enqueue_update<Add>(out, n, indices, values, count, faults);
}

template <typename T>
void enqueue_clear(T* x, std::uint64_t n, const std::uint32_t* indices, std::uint64_t count,
                   std::uint32_t* faults) noexcept {
    enqueue_update<Replace, T>(x, n, indices, nullptr, count, faults);
}

template <typename T>
Status scatter(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
               std::uint64_t count) noexcept {
    return update<Replace>(out, n, indices, values, count);
}

template <typename T>
Status scatter_add(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
                   std::uint64_t count) noexcept {
    return update<Add>(out, n, indices, values, count);
}

template <typename T>
Status clear(T* x, std::uint64_t n, const std::uint32_t* indices, std::uint64_t count) noexcept {
    return update<Replace, T>(x, n, indices, nullptr, count);
}

template <typename T>
void clear(T* x, std::uint64_t n) noexcept {
    set_bytes(x, 0, n * sizeof(T));
}

#define GRADWIRE_INSTANTIATE(T)                                                             \
    template void enqueue_scatter(T*, std::uint64_t, const std::uint32_t*, const T*,        \
                                  std::uint64_t, std::uint32_t*) noexcept;                  \
    template void enqueue_scatter_add(T*, std::uint64_t, const std::uint32_t*, const T*,    \
                                      std::uint64_t, std::uint32_t*) noexcept;              \
    template void enqueue_clear(T*, std::uint64_t, const std::uint32_t*, std::uint64_t,     \
                                std::uint32_t*) noexcept;                                   \
    template Status scatter(T*, std::uint64_t, const std::uint32_t*, const T*,              \
                            std::uint64_t) noexcept;                                        \
    template Status scatter_add(T*, std::uint64_t, const std::uint32_t*, const T*,          \
                                std::uint64_t) noexcept;                                    \
    template Status clear(T*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept; \
    template void clear(T*, std::uint64_t) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace cuda
}  // namespace gradwire
