#include "gradwire/minifloat.h"

#include <algorithm>
#include <cstring>

#include "float_environment.h"
#include "gradwire/magnitude.h"
#include "gradwire/minifloat_code.h"
#include "parallel.h"
#include "partial.h"
#include "planes.h"
#include "reductions.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// As gradwire/minifloat_code.h has it, sixteen numbers at a time.
class Codec {
  public:
    explicit GRADWIRE_SIMD Codec(const MinifloatFormat& format) noexcept
        : format_(format),
          smallest_(power_of_two(1 - format.bias)),
          last_place_(power_of_two(1 - format.bias - format.mantissa)),
          shift_(words(static_cast<std::uint32_t>(kFloatMantissa - format.mantissa))),
          rebias_(words(static_cast<std::uint32_t>(kFloatBias - format.bias) << format.mantissa)) {}

    // Of finite numbers; the sign is above the other bits.
    GRADWIRE_SIMD Words encode(Floats x) const noexcept {
        const Words sign =
            shift_right(as_words(x), words(32 - format_.bits)) & words(1U << (format_.bits - 1));
        const Floats most = floats(largest());
        const Floats size = smaller(as_floats(as_words(x) & words(kMagnitudeMask)), most);
        const Words exponent =
            larger(as_words(size), as_words(floats(smallest_))) & words(kInfinityMagnitude);
        const Floats spacing =
            as_floats(exponent + words(static_cast<std::uint32_t>(kFloatMantissa - format_.mantissa)
                                       << kFloatMantissa));
        const Floats rounded = smaller((size + spacing) - spacing, most);
        const Words normal = shift_right(as_words(rounded), shift_) - rebias_;
        const Words denormal = truncate(rounded * floats(1.0F / last_place_));
        return sign | choose(less(rounded, floats(smallest_)), denormal, normal);
    }

    GRADWIRE_SIMD Floats decode(Words code) const noexcept {
        const Words sign =
            shift_left(code & words(1U << (format_.bits - 1)), words(32 - format_.bits));
        const Words size = code & words((1U << (format_.bits - 1)) - 1);
        const Words normal = shift_left(size + rebias_, shift_);
        const Words denormal = as_words(to_floats(size) * floats(last_place_));
        const Words least_normal = words(1U << format_.mantissa);
        Words value = choose(less(size, least_normal), denormal, normal);
        value = choose(less(words(format_.largest), size), words(kNanBits), value);
        value = choose(equal(size, words(format_.infinity)), words(kInfinityMagnitude), value);
        return as_floats(value | sign);
    }

    // Of all numbers, for formats that have a NaN.
    GRADWIRE_SIMD Words encode_any(Floats x) const noexcept {
        const Words size = as_words(x) & words(kMagnitudeMask);
        const Words sign = shift_right<24>(as_words(x)) & words(0x80U);
        const std::uint32_t infinity = format_.infinity == kNoCode ? format_.nan : format_.infinity;
        const Words beyond =
            choose(equal(size, words(kInfinityMagnitude)), words(infinity), words(format_.nan));
        const Mask finite = less(size, words(kInfinityMagnitude));
        return choose(finite, encode(x), sign | beyond);
    }

  private:
    float largest() const noexcept {
        const std::uint32_t code =
            format_.largest +
            (static_cast<std::uint32_t>(kFloatBias - format_.bias) << format_.mantissa);
        return bits_float(code << (kFloatMantissa - format_.mantissa));
    }

    MinifloatFormat format_;
    float smallest_;    // normal number
    float last_place_;  // of denormals
    Words shift_, rebias_;
};

// 64ths in two's complement.
class IntegerCodec {
  public:
    GRADWIRE_SIMD Words encode(Floats x) const noexcept {
        const Floats scaled = x * floats(64.0F);
        const Floats confined = smaller(larger(scaled, floats(-127.0F)), floats(127.0F));
        return round_to_nearest(confined) & words(0xFFU);
    }
    GRADWIRE_SIMD Floats decode(Words code) const noexcept {
        // Bit 7 counts -128.
        const Words lifted = (code ^ words(0x80U)) - words(0x80U);
        return to_floats(lifted) * floats(1.0F / 64.0F);
    }
};

// Encoding goes by chunks of 512 elements, in float32 whatever their type is: the coders exist once
// for all types. What follows the first `size` elements of a chunk is scratch.
struct Chunk {
    alignas(64) float x[kChunk];
    alignas(64) std::uint8_t codes[kChunk];
};

struct Codes {
    alignas(64) std::uint8_t code[kChunk];
};

template <typename T>
void load_chunk(const T* x, std::uint64_t size, Chunk* chunk) noexcept {
    std::uint64_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
        store(chunk->x + i, load(x + i));
    }
    if (i < size) {
        store(chunk->x + i, load_partial(x + i, size - i));
    }
}

template <typename Coder>
void encode(const Coder coder, std::uint64_t size, Floats factor, const float* x,
            std::uint8_t* codes) noexcept {
    for (std::uint64_t i = 0; i < size; i += kLanes) {
        store(codes + i, coder.encode(load(x + i) * factor));
    }
}

// Codes have room for whole groups of 16. Straight to where values belong: behind a buffer, memory
// would wait while values are computed.
template <typename Coder, typename T>
void decode(const Coder coder, std::uint64_t size, Floats factor, const std::uint8_t* codes,
            T* out) noexcept {
    std::uint64_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
        store(out + i, coder.decode(load(codes + i)) * factor);
    }
    if (i < size) {
        store_partial(out + i, size - i, coder.decode(load(codes + i)) * factor);
    }
}

void encode_any(const MinifloatFormat& format, std::uint64_t size, Chunk* chunk) noexcept {
    const Codec codec(format);
    for (std::uint64_t i = 0; i < size; i += kLanes) {
        store(chunk->codes + i, codec.encode_any(load(chunk->x + i)));
    }
}

void encode_mx(Minifloat format, std::uint64_t size, Chunk* chunk, std::uint8_t* scales) noexcept {
    const Codec codec(format_of(format));
    for (std::uint64_t begin = 0; begin < size; begin += kMxBlock) {
        float* const x = chunk->x + begin;
        std::uint8_t* const codes = chunk->codes + begin;
        const std::uint64_t length = std::min(kMxBlock, size - begin);
        const std::uint32_t most = reduce<MaxMagnitude>(Plain<float>{x}, 0, length).result();
        const std::uint8_t scale = mx_scale(most, format_of(format).largest_exponent);
        *scales++ = scale;
        if (scale == kNanScale) {
            std::memset(codes, 0, length);
            continue;
        }
        const Floats down = floats(mx_down(scale));
        if (format == Minifloat::int8) {
            encode(IntegerCodec{}, length, down, x, codes);
        } else {
            encode(codec, length, down, x, codes);
        }
    }
}

template <typename T>
void decode_mx(Minifloat format, std::uint64_t size, const std::uint8_t* scales,
               const std::uint8_t* codes, T* out) noexcept {
    const Codec codec(format_of(format));
    for (std::uint64_t begin = 0; begin < size; begin += kMxBlock) {
        const std::uint64_t length = std::min(kMxBlock, size - begin);
        const std::uint8_t scale = *scales++;
        const Floats up = floats(mx_up(scale));
        if (format == Minifloat::int8) {
            decode(IntegerCodec{}, length, up, codes + begin, out + begin);
        } else {
            decode(codec, length, up, codes + begin, out + begin);
        }
    }
}

// Calls work(begin, size, buffer) for each chunk.
template <typename Buffer, typename Work>
void for_each_chunk(std::uint64_t n, Work work) noexcept {
    in_parallel(n, kChunk, [=](std::uint64_t begin, std::uint64_t end) {
        Buffer buffer;
        for (; begin < end; begin += kChunk) {
            work(begin, std::min(kChunk, end - begin), &buffer);
        }
    });
}

}  // namespace

template <typename T>
void to_minifloat(const T* x, std::uint64_t n, Minifloat format, std::uint8_t* codes) noexcept {
    for_each_chunk<Chunk>(n, [=](std::uint64_t begin, std::uint64_t size, Chunk* chunk) {
        load_chunk(x + begin, size, chunk);
        encode_any(format_of(format), size, chunk);
        std::memcpy(codes + begin, chunk->codes, size);
    });
}

template <typename T>
void from_minifloat(const std::uint8_t* codes, std::uint64_t n, Minifloat format, T* out) noexcept {
    const Codec codec(format_of(format));
    for_each_chunk<Codes>(n, [=](std::uint64_t begin, std::uint64_t size, Codes* padded) {
        const std::uint8_t* from = codes + begin;
        if (size % kLanes != 0) {
            *padded = {};
            std::memcpy(padded->code, from, size);
            from = padded->code;
        }
        decode(codec, size, floats(1.0F), from, out + begin);
    });
}

template <typename T>
void quantize_mx(const T* x, std::uint64_t n, Minifloat format, std::uint8_t* scales,
                 std::uint8_t* codes) noexcept {
    const unsigned bits = minifloat_bits(format);
    for_each_chunk<Chunk>(n, [=](std::uint64_t begin, std::uint64_t size, Chunk* chunk) {
        load_chunk(x + begin, size, chunk);
        encode_mx(format, size, chunk, scales + begin / kMxBlock);
        pack_chunk(chunk->codes, size, bits, codes + bits * (begin / 8));
    });
}

template <typename T>
void dequantize_mx(const std::uint8_t* codes, const std::uint8_t* scales, std::uint64_t n,
                   Minifloat format, T* out) noexcept {
    const unsigned bits = minifloat_bits(format);
    for_each_chunk<Codes>(n, [=](std::uint64_t begin, std::uint64_t size, Codes* unpacked) {
        unpack_chunk(codes + bits * (begin / 8), size, bits, unpacked->code);
        decode_mx(format, size, scales + begin / kMxBlock, unpacked->code, out + begin);
    });
}

#define GRADWIRE_FOR_INPUT(T)                                                               \
    template void to_minifloat(const T*, std::uint64_t, Minifloat, std::uint8_t*) noexcept; \
    template void quantize_mx(const T*, std::uint64_t, Minifloat, std::uint8_t*,            \
                              std::uint8_t*) noexcept
#define GRADWIRE_FOR_OUTPUT(T)                                                                \
    template void from_minifloat(const std::uint8_t*, std::uint64_t, Minifloat, T*) noexcept; \
    template void dequantize_mx(const std::uint8_t*, const std::uint8_t*, std::uint64_t,      \
                                Minifloat, T*) noexcept
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
