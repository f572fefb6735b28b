#include "gradwire/residual.h"

#include <cstring>

#include "gradwire/scatter.h"
#include "parallel.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

template <typename T>
Status clear(T* x, std::uint64_t n, const std::uint32_t* indices, std::uint64_t count) noexcept {
    const Status status = check_indices(indices, count, n);
    if (status != Status::ok) {
        return status;
    }
    in_parallel(count, 1, [=](std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t i = begin; i < end; ++i) {
            x[indices[i]] = T{};
        }
    });
    return Status::ok;
}

template <typename T>
void clear(T* x, std::uint64_t n) noexcept {
    // Long vectors go past the caches in libraries that are worth their name.
    std::memset(x, 0, n * sizeof(T));
}

#define GRADWIRE_INSTANTIATE(T)                                                             \
    template Status clear(T*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept; \
    template void clear(T*, std::uint64_t) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
