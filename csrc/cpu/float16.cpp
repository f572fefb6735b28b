#include "gradwire/float16.h"

#include "gradwire/half.h"
#include "parallel.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

void to_float16(const float* x, std::uint64_t n, float16* out) noexcept {
    in_parallel(n, kLanes, [=](std::uint64_t begin, std::uint64_t end) {
        std::uint64_t i = begin;
        for (; i + kLanes <= end; i += kLanes) {
            store(out + i, load(x + i));
        }
        for (; i < end; ++i) {
            out[i] = to_float16(x[i]);
        }
    });
}

void from_float16(const float16* x, std::uint64_t n, float* out) noexcept {
    in_parallel(n, kLanes, [=](std::uint64_t begin, std::uint64_t end) {
        std::uint64_t i = begin;
        for (; i + kLanes <= end; i += kLanes) {
            store(out + i, load(x + i));
        }
        for (; i < end; ++i) {
            out[i] = widen(x[i]);
        }
    });
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
