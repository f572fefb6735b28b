#include "gradwire/natural.h"

#include <algorithm>

#include "gradwire/magnitude.h"
#include "gradwire/natural_code.h"
#include "parallel.h"
#include "partial.h"
#include "philox_lanes.h"
#include "reductions.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

constexpr std::uint64_t kDrawnAtATime = 512;

GRADWIRE_SIMD Words encode(Floats x, Words random) noexcept {
    const Words bits = as_words(x);
    const Words sign = shift_right<24>(bits) & words(0x80U);
    const Words kept = shift_right<7>(bits & words(kMagnitudeMask));
    // A carry out of the 16 mantissa bits just where they are above the random ones.
    const Words exponent = shift_right<16>(kept + (words(0xFFFFU) - random));
    const Words confined = smaller(larger(exponent, words(kZeroExponent)), words(kLargestExponent));
    return sign | (confined - words(kZeroExponent));
}

GRADWIRE_SIMD Floats decode(Words code) noexcept {
    const Words sign = shift_left<24>(code & words(0x80U));
    const Words number = code & words(0x7FU);
    const Words power = shift_left<23>(number + words(kZeroExponent));
    return as_floats(sign | choose(equal(number, words(0)), words(0), power));
}

template <bool add, typename T>
void decode_part(const std::uint8_t* codes, std::uint64_t n, T* out) noexcept {
    std::uint64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const Floats value = decode(load(codes + i));
        store(out + i, add ? load(out + i) + value : value);
    }
    if (i < n) {
        const Floats value = decode(load_partial(codes + i, n - i));
        store_partial(out + i, n - i, add ? load_partial(out + i, n - i) + value : value);
    }
}

template <bool add, typename T>
void decode_all(const std::uint8_t* codes, std::uint64_t n, T* out) noexcept {
    in_parallel(n, kLanes, [=](std::uint64_t begin, std::uint64_t end) {
        decode_part<add>(codes + begin, end - begin, out + begin);
    });
}

// Returns the largest magnitude.
template <typename T>
std::uint32_t quantize_part(const T* x, std::uint64_t n, RandomStream random,
                            std::uint8_t* codes) noexcept {
    alignas(64) std::uint16_t buffer[drawn_size(kDrawnAtATime)];
    MaxMagnitude most;
    for (std::uint64_t begin = 0; begin < n; begin += kDrawnAtATime) {
        const std::uint64_t size = std::min(kDrawnAtATime, n - begin);
        const std::uint16_t* const bits = draw_elements(random, random.first + begin, size, buffer);
        std::uint64_t i = 0;
        for (; i + kLanes <= size; i += kLanes) {
            const Floats values = load(x + begin + i);
            most.add(values);
            store(codes + begin + i, encode(values, load(bits + i)));
        }
        if (i < size) {
            const Floats values = load_partial(x + begin + i, size - i);
            most.add(values);
            store_partial(codes + begin + i, size - i, encode(values, load(bits + i)));
        }
    }
    return most.result();
}

}  // namespace

template <typename T>
bool quantize_natural(const T* x, std::uint64_t n, RandomStream random,
                      std::uint8_t* codes) noexcept {
    const auto part = [=](std::uint64_t begin, std::uint64_t end) {
        return quantize_part(x + begin, end - begin, random.from(begin), codes + begin);
    };
    return largest_in_parallel(n, kDrawnAtATime, part) < kInfinityMagnitude;
}

template <typename T>
void dequantize_natural(const std::uint8_t* codes, std::uint64_t n, T* out) noexcept {
    decode_all<false>(codes, n, out);
}

void dequantize_natural_add(const std::uint8_t* codes, std::uint64_t n, float* out) noexcept {
    decode_all<true>(codes, n, out);
}

template bool quantize_natural(const float*, std::uint64_t, RandomStream, std::uint8_t*) noexcept;
template bool quantize_natural(const bfloat16*, std::uint64_t, RandomStream,
                               std::uint8_t*) noexcept;
template bool quantize_natural(const float16*, std::uint64_t, RandomStream, std::uint8_t*) noexcept;
template bool quantize_natural(const double*, std::uint64_t, RandomStream, std::uint8_t*) noexcept;
template void dequantize_natural(const std::uint8_t*, std::uint64_t, float*) noexcept;
template void dequantize_natural(const std::uint8_t*, std::uint64_t, bfloat16*) noexcept;
template void dequantize_natural(const std::uint8_t*, std::uint64_t, float16*) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
