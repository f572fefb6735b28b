#include "gradwire/sign.h"

#include <algorithm>
#include <cstring>

#include "blocks.h"
#include "error_out.h"
#include "float_environment.h"
#include "gradwire/scales.h"
#include "partial.h"
#include "reductions.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// Writes the codes of one block; with `error`, x - decoded value too.
template <bool keep_error, typename Source>
void encode(const Source& source, std::uint64_t begin, std::uint64_t size, float scale,
            const ErrorOut& error, std::uint8_t* codes) noexcept {
    const Floats zero = floats(0.0F);
    const Floats plus = floats(scale);
    const Floats minus = floats(-scale);
    std::uint64_t i = begin;
    for (; i + kLanes <= begin + size; i += kLanes) {
        const Floats x = source.all(i);
        const Mask positive = less_equal(zero, x);
        std::memcpy(codes + i / 8, &positive, sizeof positive);
        if constexpr (keep_error) {
            error.put(i, x - choose_less(x, zero, minus, plus));
        }
    }
    if (const std::uint64_t rest = begin + size - i; rest != 0) {
        const Floats x = source.first(i, rest);
        const auto positive = static_cast<Mask>(less_equal(zero, x) & first_lanes(rest));
        std::memcpy(codes + i / 8, &positive, (rest + 7) / 8);
        if constexpr (keep_error) {
            error.put_first(i, rest, x - choose_less(x, zero, minus, plus));
        }
    }
}

template <typename Source>
float mean_magnitude(const Source& source, std::uint64_t begin, std::uint64_t size) noexcept {
    return mean_of(reduce<SumOfMagnitudes>(source, begin, size).result(), size);
}

template <bool keep_error, typename Source>
void encode_all(const Source& source, std::uint64_t n, std::uint64_t block, bool given,
                float* scales, const ErrorOut& error, std::uint8_t* codes) noexcept {
    if (block == 0 && n != 0 && !given) {
        const IeeeArithmetic ieee;
        scales[0] = mean_magnitude(source, 0, n);
        given = true;
    }
    for_each_block(n, block, [=](std::uint64_t number, std::uint64_t begin, std::uint64_t size) {
        if (!given) {
            scales[number] = mean_magnitude(source, begin, size);
        }
        encode<keep_error>(source, begin, size, scales[number], error, codes);
    });
}

template <bool add, typename T>
void decode(const std::uint8_t* codes, const float* scales, std::uint64_t n, std::uint64_t block,
            T* out) noexcept {
    for_each_block(n, block, [=](std::uint64_t number, std::uint64_t begin, std::uint64_t size) {
        const Floats plus = floats(scales[number]);
        const Floats minus = floats(-scales[number]);
        std::uint64_t i = begin;
        for (; i + kLanes <= begin + size; i += kLanes) {
            Mask positive;
            std::memcpy(&positive, codes + i / 8, sizeof positive);
            const Floats value = choose(positive, plus, minus);
            store(out + i, add ? load(out + i) + value : value);
        }
        if (const std::uint64_t rest = begin + size - i; rest != 0) {
            Mask positive = 0;
            std::memcpy(&positive, codes + i / 8, (rest + 7) / 8);
            const Floats value = choose(positive, plus, minus);
            store_partial(out + i, rest, add ? load_partial(out + i, rest) + value : value);
        }
    });
}

}  // namespace

template <typename T>
void quantize_sign(const T* x, std::uint64_t n, std::uint64_t block, bool given, float* scales,
                   std::uint8_t* codes) noexcept {
    encode_all<false>(Plain<T>{x}, n, block, given, scales, {}, codes);
}

template <typename T>
void compensate_sign(const T* gradient, const float* residual, std::uint64_t n, std::uint64_t block,
                     bool given, float* error, float* scales, std::uint8_t* codes) noexcept {
    const Compensated<T> source{gradient, residual};
    encode_all<true>(source, n, block, given, scales, {error, gradient, n}, codes);
}

template <typename T>
void dequantize_sign(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                     std::uint64_t block, T* out) noexcept {
    decode<false>(codes, scales, n, block, out);
}

void dequantize_sign_add(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                         std::uint64_t block, float* out) noexcept {
    decode<true>(codes, scales, n, block, out);
}

template void quantize_sign(const float*, std::uint64_t, std::uint64_t, bool, float*,
                            std::uint8_t*) noexcept;
template void quantize_sign(const bfloat16*, std::uint64_t, std::uint64_t, bool, float*,
                            std::uint8_t*) noexcept;
template void quantize_sign(const float16*, std::uint64_t, std::uint64_t, bool, float*,
                            std::uint8_t*) noexcept;
template void quantize_sign(const double*, std::uint64_t, std::uint64_t, bool, float*,
                            std::uint8_t*) noexcept;
template void compensate_sign(const float*, const float*, std::uint64_t, std::uint64_t, bool,
                              float*, float*, std::uint8_t*) noexcept;
template void compensate_sign(const bfloat16*, const float*, std::uint64_t, std::uint64_t, bool,
                              float*, float*, std::uint8_t*) noexcept;
template void compensate_sign(const float16*, const float*, std::uint64_t, std::uint64_t, bool,
                              float*, float*, std::uint8_t*) noexcept;
template void compensate_sign(const double*, const float*, std::uint64_t, std::uint64_t, bool,
                              float*, float*, std::uint8_t*) noexcept;
template void dequantize_sign(const std::uint8_t*, const float*, std::uint64_t, std::uint64_t,
                              float*) noexcept;
template void dequantize_sign(const std::uint8_t*, const float*, std::uint64_t, std::uint64_t,
                              bfloat16*) noexcept;
template void dequantize_sign(const std::uint8_t*, const float*, std::uint64_t, std::uint64_t,
                              float16*) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
