#include "gradwire/quantize.h"

#include "error_out.h"
#include "float_environment.h"
#include "gradwire/scales.h"
#include "lattice.h"
#include "parallel.h"
#include "philox_lanes.h"
#include "planes.h"
#include "reductions.h"
#include "segments.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

template <typename Source>
void find_scales(const Source& source, std::uint64_t begin, std::uint64_t size, Scale scale,
                 float* out) noexcept {
    if (scale == Scale::absmax) {
        out[0] = absmax_of(reduce<MaxMagnitude>(source, begin, size).result());
    } else if (scale == Scale::l2) {
        out[0] = norm_of(reduce<SumOfSquares>(source, begin, size).result());
    } else {
        const Extremes::Result found = reduce<Extremes>(source, begin, size).result();
        const bool finite = found.magnitude < kInfinityMagnitude;
        out[0] = finite ? found.low : bits_float(kNanScaleBits);
        out[1] = finite ? found.high : bits_float(kNanScaleBits);
    }
}

// Codes of size <= 512 elements from `begin` on, one per byte; writes whole groups of 16 codes.
// With keep_error, x - decoded value too.
template <bool minmax, bool stochastic, bool keep_error, typename Source>
void encode(const Source& source, std::uint64_t begin, std::uint64_t size, const Lattice& lattice,
            const std::uint16_t* random, std::uint8_t* codes, const ErrorOut& error) noexcept {
    const LatticeLanes<minmax> lanes(lattice);
    const auto code_of = [&](Floats values, std::uint64_t i) {
        return stochastic ? lanes.stochastic(values, load(random + i)) : lanes.nearest(values);
    };
    std::uint64_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
        const Floats values = source.all(begin + i);
        const Words found = code_of(values, i);
        store(codes + i, found);
        if constexpr (keep_error) {
            error.put(begin + i, values - lanes.value(found));
        }
    }
    if (i < size) {
        const Floats values = source.first(begin + i, size - i);
        const Words found = code_of(values, i);
        store(codes + i, found);
        if constexpr (keep_error) {
            error.put_first(begin + i, size - i, values - lanes.value(found));
        }
    }
}

// Of one chunk, codes being one per byte.
struct Buffers {
    alignas(64) std::uint8_t codes[kChunk];
    alignas(64) std::uint16_t random[drawn_size(kChunk)];
};

// The steps of for_each_segment.
template <bool keep_error, typename Source>
struct Encoder {
    const Encoding& how;
    const Source source;
    const ErrorOut error;
    float* scales;
    std::uint8_t* out;
    Buffers& buffers;

    Lattice lattice{};
    std::uint64_t blocks = 0;
    std::uint64_t chunk_begin = 0;
    std::uint64_t chunk_size = 0;
    const std::uint16_t* random = buffers.random;

    void begin_block(std::uint64_t begin, std::uint64_t size) noexcept {
        if (!how.given) {
            const std::uint64_t each = how.grid.scale == Scale::minmax ? 2 : 1;
            find_scales(source, begin, size, how.grid.scale, scales + each * blocks);
        }
        lattice = lattice_of(how.grid, scales, blocks);
        ++blocks;
    }
    void begin_chunk(std::uint64_t begin, std::uint64_t size) noexcept {
        chunk_begin = begin;
        chunk_size = size;
        if (how.stochastic) {
            random = draw_elements(how.random, how.random.first + begin, size, buffers.random);
        }
    }
    void segment(std::uint64_t begin, std::uint64_t size) noexcept {
        if (how.grid.scale == Scale::minmax) {
            how.stochastic ? encode_as<true, true>(begin, size)
                           : encode_as<true, false>(begin, size);
        } else {
            how.stochastic ? encode_as<false, true>(begin, size)
                           : encode_as<false, false>(begin, size);
        }
    }
    template <bool minmax, bool stochastic>
    void encode_as(std::uint64_t begin, std::uint64_t size) noexcept {
        const std::uint64_t place = begin - chunk_begin;
        encode<minmax, stochastic, keep_error>(source, begin, size, lattice, random + place,
                                               buffers.codes + place, error);
    }
    void end_chunk() noexcept {
        pack_chunk(buffers.codes, chunk_size, how.grid.bits, out);
        out += how.grid.bits * plane_bytes(chunk_size);
    }
};

// The steps of for_each_segment.
template <typename T, bool add>
struct Decoder {
    const Grid& grid;
    const float* scales;
    const std::uint8_t* in;
    T* out;
    std::uint8_t* codes;  // of one chunk, one per byte

    Lattice lattice{};
    std::uint64_t blocks = 0;
    std::uint64_t chunk_begin = 0;

    void begin_block(std::uint64_t, std::uint64_t) noexcept {
        lattice = lattice_of(grid, scales, blocks);
        ++blocks;
    }
    void begin_chunk(std::uint64_t begin, std::uint64_t size) noexcept {
        chunk_begin = begin;
        unpack_chunk(in, size, grid.bits, codes);
        in += grid.bits * plane_bytes(size);
    }
    void segment(std::uint64_t begin, std::uint64_t size) noexcept {
        if (grid.scale == Scale::minmax) {
            decode<true>(begin, size);
        } else {
            decode<false>(begin, size);
        }
    }
    void end_chunk() noexcept {}

    template <bool minmax>
    void decode(std::uint64_t begin, std::uint64_t size) noexcept {
        const LatticeLanes<minmax> lanes(lattice);
        const std::uint8_t* const from = codes + (begin - chunk_begin);
        T* const to = out + begin;
        std::uint64_t i = 0;
        for (; i + kLanes <= size; i += kLanes) {
            const Floats value = lanes.value(load(from + i));
            store(to + i, add ? load(to + i) + value : value);
        }
        if (i < size) {
            const Floats value = lanes.value(load(from + i));
            const std::uint64_t rest = size - i;
            store_partial(to + i, rest, add ? load_partial(to + i, rest) + value : value);
        }
    }
};

// Parts begin where a block and a chunk do. kChunk is a power of two.
std::uint64_t grain(std::uint64_t block) noexcept {
    const std::uint64_t common = std::min(block & (~block + 1), kChunk);
    return block == 0 ? kChunk : block * (kChunk / common);
}

std::uint64_t scales_before(std::uint64_t begin, const Grid& grid) noexcept {
    return grid.block == 0 ? 0 : scale_count(begin, grid.block, grid.scale);
}

template <bool keep_error, typename Source>
void encode_all(const Source& source, std::uint64_t n, Encoding how, const ErrorOut& error,
                float* scales, std::uint8_t* codes) noexcept {
    if (how.grid.block == 0 && n != 0 && !how.given) {
        const IeeeArithmetic ieee;
        find_scales(source, 0, n, how.grid.scale, scales);
        how.given = true;
    }
    in_parallel(n, grain(how.grid.block), [&](std::uint64_t begin, std::uint64_t end) {
        Encoding here = how;
        here.random = how.random.from(begin);
        Buffers buffers;
        Encoder<keep_error, Source> encoder{here,
                                            source.from(begin),
                                            error.from(begin),
                                            scales + scales_before(begin, how.grid),
                                            codes + how.grid.bits * plane_bytes(begin),
                                            buffers};
        for_each_segment(end - begin, how.grid.block, encoder);
    });
}

template <bool add, typename T>
void decode_all(const std::uint8_t* codes, const float* scales, std::uint64_t n, const Grid& grid,
                T* out) noexcept {
    in_parallel(n, grain(grid.block), [&](std::uint64_t begin, std::uint64_t end) {
        alignas(64) std::uint8_t unpacked[kChunk];
        Decoder<T, add> decoder{grid, scales + scales_before(begin, grid),
                                codes + grid.bits * plane_bytes(begin), out + begin, unpacked};
        for_each_segment(end - begin, grid.block, decoder);
    });
}

}  // namespace

template <typename T>
void quantize(const T* x, std::uint64_t n, const Encoding& how, float* scales,
              std::uint8_t* codes) noexcept {
    encode_all<false>(Plain<T>{x}, n, how, {}, scales, codes);
}

template <typename T>
void compensate_quantize(const T* gradient, const float* residual, std::uint64_t n,
                         const Encoding& how, float* error, float* scales,
                         std::uint8_t* codes) noexcept {
    encode_all<true>(Compensated<T>{gradient, residual}, n, how, {error, gradient, n}, scales,
                     codes);
}

template <typename T>
void dequantize(const std::uint8_t* codes, const float* scales, std::uint64_t n, const Grid& grid,
                T* out) noexcept {
    decode_all<false>(codes, scales, n, grid, out);
}

void dequantize_add(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                    const Grid& grid, float* out) noexcept {
    decode_all<true>(codes, scales, n, grid, out);
}

template void quantize(const float*, std::uint64_t, const Encoding&, float*,
                       std::uint8_t*) noexcept;
template void quantize(const bfloat16*, std::uint64_t, const Encoding&, float*,
                       std::uint8_t*) noexcept;
template void quantize(const float16*, std::uint64_t, const Encoding&, float*,
                       std::uint8_t*) noexcept;
template void quantize(const double*, std::uint64_t, const Encoding&, float*,
                       std::uint8_t*) noexcept;
template void compensate_quantize(const float*, const float*, std::uint64_t, const Encoding&,
                                  float*, float*, std::uint8_t*) noexcept;
template void compensate_quantize(const bfloat16*, const float*, std::uint64_t, const Encoding&,
                                  float*, float*, std::uint8_t*) noexcept;
template void compensate_quantize(const float16*, const float*, std::uint64_t, const Encoding&,
                                  float*, float*, std::uint8_t*) noexcept;
template void compensate_quantize(const double*, const float*, std::uint64_t, const Encoding&,
                                  float*, float*, std::uint8_t*) noexcept;
template void dequantize(const std::uint8_t*, const float*, std::uint64_t, const Grid&,
                         float*) noexcept;
template void dequantize(const std::uint8_t*, const float*, std::uint64_t, const Grid&,
                         bfloat16*) noexcept;
template void dequantize(const std::uint8_t*, const float*, std::uint64_t, const Grid&,
                         float16*) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
