#include "gradwire/scatter.h"

#include "float_environment.h"
#include "increasing.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

Status check_indices(const std::uint32_t* indices, std::uint64_t count, std::uint64_t n) noexcept {
    if (!strictly_increasing(indices, count)) {
        return Status::not_increasing;
    }
    return count > 0 && indices[count - 1] >= n ? Status::index_out_of_range : Status::ok;
}

Status scatter(float* out, std::uint64_t n, const std::uint32_t* indices, const float* values,
               std::uint64_t count) noexcept {
    const Status status = check_indices(indices, count, n);
    if (status != Status::ok) {
        return status;
    }
    for (std::uint64_t i = 0; i < count; ++i) {
        out[indices[i]] = values[i];
    }
    return Status::ok;
}

Status scatter_add(float* out, std::uint64_t n, const std::uint32_t* indices, const float* values,
                   std::uint64_t count) noexcept {
    const Status status = check_indices(indices, count, n);
    if (status != Status::ok) {
        return status;
    }
    const IeeeArithmetic ieee;
    for (std::uint64_t i = 0; i < count; ++i) {
        out[indices[i]] = out[indices[i]] + values[i];
    }
    return Status::ok;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
