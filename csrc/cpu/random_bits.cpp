#include "gradwire/random_bits.h"

#include <cstring>

#include "parallel.h"
#include "philox_lanes.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

namespace {

void draw_part(RandomStream stream, std::uint64_t n, std::uint16_t* out) noexcept {
    constexpr std::uint64_t kSize = 512;
    alignas(64) std::uint16_t buffer[drawn_size(kSize)];
    for (std::uint64_t begin = 0; begin < n; begin += kSize) {
        const std::uint64_t size = n - begin < kSize ? n - begin : kSize;
        const std::uint16_t* const bits = draw_elements(stream, stream.first + begin, size, buffer);
        std::memcpy(out + begin, bits, size * sizeof *out);
    }
}

}  // namespace

void random_bits(RandomStream stream, std::uint64_t n, std::uint16_t* out) noexcept {
    in_parallel(n, kLanes, [=](std::uint64_t begin, std::uint64_t end) {
        draw_part(stream.from(begin), end - begin, out + begin);
    });
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
