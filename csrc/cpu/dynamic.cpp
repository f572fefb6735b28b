#include "gradwire/dynamic.h"

#include <algorithm>
#include <cstring>

#include "blocks.h"
#include "dynamic_table.h"
#include "error_out.h"
#include "float_environment.h"
#include "gradwire/magnitude.h"
#include "partial.h"
#include "reductions.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

constexpr std::uint32_t kNan = 0x7FC00000U;

// NaN where there is an element that is not finite.
template <typename Source>
float scale_of(const Source& source, std::uint64_t begin, std::uint64_t size) noexcept {
    const std::uint32_t most = reduce<MaxMagnitude>(source, begin, size).result();
    return bits_float(most < kInfinityMagnitude ? most : kNan);
}

template <bool keep_error, typename Source>
void encode(const Source& source, std::uint64_t begin, std::uint64_t size, float scale,
            std::uint8_t* codes, const ErrorOut& error) noexcept {
    const Floats factor = floats(scale);
    const Floats divisor = floats(scale == 0.0F ? 1.0F : scale);
    const std::uint64_t end = begin + size;
    std::uint64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
        const Floats x = source.all(i);
        const Words code = dynamic_codes(x / divisor);
        store(codes + i, code);
        if constexpr (keep_error) {
            error.put(i, x - dynamic_numbers(code) * factor);
        }
    }
    if (i < end) {
        const Floats x = source.first(i, end - i);
        const Words code = dynamic_codes(x / divisor);
        store_partial(codes + i, end - i, code);
        if constexpr (keep_error) {
            error.put_first(i, end - i, x - dynamic_numbers(code) * factor);
        }
    }
}

template <bool keep_error, typename Source>
void encode_blocks(const Source& source, std::uint64_t n, std::uint64_t block,
                   const ErrorOut& error, float* scales, std::uint8_t* codes) noexcept {
    if (block == 0 && n != 0) {
        const IeeeArithmetic ieee;
        scales[0] = scale_of(source, 0, n);
    }
    for_each_block(n, block, [=](std::uint64_t number, std::uint64_t begin, std::uint64_t size) {
        if (block != 0) {
            scales[number] = scale_of(source, begin, size);
        }
        if (magnitude(scales[number]) < kInfinityMagnitude) {
            encode<keep_error>(source, begin, size, scales[number], codes, error);
            return;
        }
        std::memset(codes + begin, kZeroCode, size);
        if constexpr (keep_error) {
            error.fill(begin, size, bits_float(kNan));
        }
    });
}

template <bool add, typename T>
void decode(const std::uint8_t* codes, const float* scales, std::uint64_t n, std::uint64_t block,
            T* out) noexcept {
    for_each_block(n, block, [=](std::uint64_t number, std::uint64_t begin, std::uint64_t size) {
        const Floats factor = floats(scales[number]);
        const std::uint64_t end = begin + size;
        std::uint64_t i = begin;
        for (; i + kLanes <= end; i += kLanes) {
            const Floats value = dynamic_numbers(load(codes + i)) * factor;
            store(out + i, add ? load(out + i) + value : value);
        }
        if (const std::uint64_t rest = end - i; rest != 0) {
            const Floats value = dynamic_numbers(load_partial(codes + i, rest)) * factor;
            store_partial(out + i, rest, add ? load_partial(out + i, rest) + value : value);
        }
    });
}

}  // namespace

template <typename T>
void quantize_dynamic(const T* x, std::uint64_t n, std::uint64_t block, float* scales,
                      std::uint8_t* codes) noexcept {
    encode_blocks<false>(Plain<T>{x}, n, block, {}, scales, codes);
}

template <typename T>
void compensate_quantize_dynamic(const T* gradient, const float* residual, std::uint64_t n,
                                 std::uint64_t block, float* error, float* scales,
                                 std::uint8_t* codes) noexcept {
    encode_blocks<true>(Compensated<T>{gradient, residual}, n, block, {error, gradient, n}, scales,
                        codes);
}

template <typename T>
void dequantize_dynamic(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                        std::uint64_t block, T* out) noexcept {
    decode<false>(codes, scales, n, block, out);
}

void dequantize_dynamic_add(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                            std::uint64_t block, float* out) noexcept {
    decode<true>(codes, scales, n, block, out);
}

#define GRADWIRE_FOR_INPUT(T)                                                        \
    template void quantize_dynamic(const T*, std::uint64_t, std::uint64_t, float*,   \
                                   std::uint8_t*) noexcept;                          \
    template void compensate_quantize_dynamic(const T*, const float*, std::uint64_t, \
                                              std::uint64_t, float*, float*,         \
                                              std::uint8_t*) noexcept
#define GRADWIRE_FOR_OUTPUT(T)                                                         \
    template void dequantize_dynamic(const std::uint8_t*, const float*, std::uint64_t, \
                                     std::uint64_t, T*) noexcept
GRADWIRE_FOR_INPUT(float);
GRADWIRE_FOR_INPUT(bfloat16);
GRADWIRE_FOR_INPUT(float16);
GRADWIRE_FOR_INPUT(double);
GRADWIRE_FOR_OUTPUT(float);
GRADWIRE_FOR_OUTPUT(bfloat16);
GRADWIRE_FOR_OUTPUT(float16);
#undef GRADWIRE_FOR_INPUT
#undef GRADWIRE_FOR_OUTPUT

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
