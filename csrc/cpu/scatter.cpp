#include "gradwire/scatter.h"

#include "increasing.h"
#include "parallel.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// Nearly every place is a cache miss of its own; as none depends on another, processors have enough
// of them on the way without being told. (Prefetching was measured and changed nothing.)
template <typename T>
void add_entries(T* out, const std::uint32_t* indices, const T* values,
                 std::uint64_t count) noexcept {
    for (std::uint64_t i = 0; i < count; ++i) {
        out[indices[i]] = out[indices[i]] + values[i];
    }
}

// The 16-bit types: sixteen entries at a time are gathered, added in float32 and rounded.
template <typename T>
void add_rounded_entries(T* out, const std::uint32_t* indices, const T* values,
                         std::uint64_t count) noexcept {
    alignas(64) T sums[kLanes] = {};
    alignas(64) T addends[kLanes] = {};
    for (std::uint64_t begin = 0; begin < count; begin += kLanes) {
        const std::uint64_t lanes = count - begin < kLanes ? count - begin : kLanes;
        const std::uint32_t* const places = indices + begin;
        for (std::uint64_t i = 0; i < lanes; ++i) {
            sums[i] = out[places[i]];
            addends[i] = values[begin + i];
        }
        store(sums, load(sums) + load(addends));
        for (std::uint64_t i = 0; i < lanes; ++i) {
            out[places[i]] = sums[i];
        }
    }
}

void add_entries(bfloat16* out, const std::uint32_t* indices, const bfloat16* values,
                 std::uint64_t count) noexcept {
    add_rounded_entries(out, indices, values, count);
}
void add_entries(float16* out, const std::uint32_t* indices, const float16* values,
                 std::uint64_t count) noexcept {
    add_rounded_entries(out, indices, values, count);
}

}  // namespace

Status check_indices(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n) noexcept {
    if (!strictly_increasing(indices, count)) {
        return Status::not_increasing;
    }
    return count > 0 && indices[count - 1] >= n ? Status::index_out_of_range : Status::ok;
}

template <typename T>
Status scatter(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
               std::uint64_t count) noexcept {
    const Status status = check_indices(indices, count, n);
    if (status != Status::ok) {
        return status;
    }
    in_parallel(count, 1, [=](std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t i = begin; i < end; ++i) {
            out[indices[i]] = values[i];
        }
    });
    return Status::ok;
}

template <typename T>
Status scatter_add(T* out, std::uint64_t n, const std::uint32_t* indices, const T* values,
                   std::uint64_t count) noexcept {
    const Status status = check_indices(indices, count, n);
    if (status != Status::ok) {
        return status;
    }
    in_parallel(count, kLanes, [=](std::uint64_t begin, std::uint64_t end) {
        add_entries(out, indices + begin, values + begin, end - begin);
    });
    return Status::ok;
}

#define GRADWIRE_INSTANTIATE(T)                                                    \
    template Status scatter(T*, std::uint64_t, const std::uint32_t*, const T*,     \
                            std::uint64_t) noexcept;                               \
    template Status scatter_add(T*, std::uint64_t, const std::uint32_t*, const T*, \
                                std::uint64_t) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
