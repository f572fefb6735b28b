#include "gradwire/residual.h"

#include "gradwire/scatter.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

Status clear(float* x, std::uint64_t n, const std::uint32_t* indices,
             std::uint64_t count) noexcept {
    const Status status = check_indices(indices, count, n);
    if (status != Status::ok) {
        return status;
    }
    for (std::uint64_t i = 0; i < count; ++i) {
        x[indices[i]] = 0.0F;
    }
    return Status::ok;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
