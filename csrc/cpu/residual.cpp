#include "gradwire/residual.h"

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

template Status clear(float*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept;
template Status clear(bfloat16*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept;
template Status clear(float16*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept;
template Status clear(double*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
