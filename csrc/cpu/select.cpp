#include "gradwire/select.h"

#include <algorithm>

#include "compact.h"
#include "gradwire/magnitude.h"
#include "gradwire/residual.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

Selection by_threshold(std::uint64_t found, std::uint64_t capacity, float threshold) noexcept {
    return {std::min(found, capacity), found, bits_float(magnitude(threshold))};
}

}  // namespace

void select(const float* x, std::uint64_t n, float threshold, Entries out,
            Selection* result) noexcept {
    const std::uint64_t found = compact(x, n, 0, floor_magnitude(threshold), out, 0);
    *result = by_threshold(found, out.capacity, threshold);
}

void compensate_select(const float* gradient, const float* residual, std::uint64_t n,
                       float threshold, float* acc, Entries out, Selection* result) noexcept {
    const std::uint32_t floor = floor_magnitude(threshold);
    std::uint64_t found = 0;
    for (std::uint64_t begin = 0; begin < n; begin += kTile) {
        const std::uint64_t size = std::min(kTile, n - begin);
        compensate(gradient + begin, residual + begin, size, acc + begin);
        found = compact(acc + begin, size, begin, floor, out, found);
    }
    *result = by_threshold(found, out.capacity, threshold);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
