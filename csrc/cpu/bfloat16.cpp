#include "gradwire/bfloat16.h"

#include "gradwire/magnitude.h"
#include "parallel.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

namespace {

void round_part(const float* x, std::uint64_t n, std::uint16_t* out) noexcept {
    for (std::uint64_t i = 0; i < n; ++i) {
        const std::uint32_t bits = float_bits(x[i]);
        // Half of the last kept place, less one unless that place is odd: ties go to even. A carry
        // runs into the exponent and, from the largest numbers, to exactly infinity.
        const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
        const std::uint32_t quiet = (bits >> 16) | 0x40U;
        const bool nan = (bits & kMagnitudeMask) > kInfinityMagnitude;
        out[i] = static_cast<std::uint16_t>(nan ? quiet : rounded);
    }
}

}  // namespace

void to_bfloat16(const float* x, std::uint64_t n, std::uint16_t* out) noexcept {
    in_parallel(n, 1, [=](std::uint64_t begin, std::uint64_t end) {
        round_part(x + begin, end - begin, out + begin);
    });
}

void from_bfloat16(const std::uint16_t* bits, std::uint64_t n, float* out) noexcept {
    in_parallel(n, 1, [=](std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t i = begin; i < end; ++i) {
            out[i] = bits_float(static_cast<std::uint32_t>(bits[i]) << 16);
        }
    });
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
