#include "gradwire/merge.h"
#include "increasing.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

Status intersect(const std::uint32_t* a, std::uint64_t a_count, const std::uint32_t* b,
                 std::uint64_t b_count, Common out, std::uint64_t* written) noexcept {
    if (!strictly_increasing(a, a_count) || !strictly_increasing(b, b_count)) {
        return Status::not_increasing;
    }
    std::uint64_t i = 0;
    std::uint64_t j = 0;
    std::uint64_t count = 0;
    // count <= min(i, j), so every write is inside out.
    while (i < a_count && j < b_count) {
        const std::uint32_t left = a[i];
        const std::uint32_t right = b[j];
        out.elements[count] = left;
        out.positions[count] = static_cast<std::uint32_t>(i);
        count += static_cast<std::uint64_t>(left == right);
        i += static_cast<std::uint64_t>(left <= right);
        j += static_cast<std::uint64_t>(right <= left);
    }
    *written = count;
    return Status::ok;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
