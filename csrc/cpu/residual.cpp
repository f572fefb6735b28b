#include "gradwire/residual.h"

#include "float_environment.h"
#include "gradwire/scatter.h"
#include "vectorize.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

void compensate(const float* gradient, const float* residual, std::uint64_t n,
                float* acc) noexcept {
    const IeeeArithmetic ieee;
    GRADWIRE_INDEPENDENT_ITERATIONS
    for (std::uint64_t i = 0; i < n; ++i) {
        acc[i] = residual[i] + gradient[i];
    }
}

template <typename T>
Status clear(T* x, std::uint64_t n, const std::uint32_t* indices, std::uint64_t count) noexcept {
    const Status status = check_indices(indices, count, n);
    if (status != Status::ok) {
        return status;
    }
    for (std::uint64_t i = 0; i < count; ++i) {
        x[indices[i]] = T{};
    }
    return Status::ok;
}

template Status clear(float*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept;
template Status clear(bfloat16*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept;
template Status clear(float16*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept;
template Status clear(double*, std::uint64_t, const std::uint32_t*, std::uint64_t) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
