// Uniform quantisation in blocks: float32, bfloat16, float16 or double (see types.h) to codes of 1
// to 8 bits and one or two float32 scales for each block.
//
// Codes. n codes of b bits are cut into chunks of 512. A chunk of m codes has b planes one after
// the other, the least significant first: plane j holds bit j of every code in ceil(m / 8) bytes,
// code i of the chunk at byte i / 8, bit i % 8 (least significant first). Unused bits are 0.
// b * ceil(n / 8) bytes in all.
//
// Symmetric grids (absmax, l2) have `levels` s steps to each side, s <= 2^(b - 1) - 1: a number q
// in [-s, s] is stored as q + s. The minmax grid has the codes 0 to s = 2^b - 1.
//
// Scales of a block, in float32:
//   absmax  max |x|, but at most the float32 below the largest one, so that no code overflows
//   l2      sqrt(sum of x * x), computed in float64: element i of the block is added to sum i % 16
//           in index order, the 16 sums are added i to i + 8, i + 4, i + 2, i + 1; at most as above
//   minmax  min x and max x, with +0 for -0
// Non-finite x makes every scale of its block NaN, and every element of the block decodes to NaN.
// Given scales are read instead of computed; then x beyond them saturates and NaN becomes the
// lowest code: whoever computed them has seen that x is finite.
//
// Arithmetic, in float32 and in this order (symmetric; minmax):
//   lift = 2^64 if 0 < range < 2^-100, else 1    range: the scale; max - min
//          minmax: 1/2 if range is infinite though min and max are not
//   base = 0; min * lift           width = scale * lift; max * lift - base
//   inv = s / width, 0 if width = 0        step = width / s
//   t = (x * lift - base) * inv, confined to [-s, s]; [0, s]
//   q = t rounded to nearest, ties to even; or, stochastically, floor((f + 65535 - u) / 65536) with
//       f = t * 65536 rounded to nearest, ties to even, and the element's 16 random bits u
//       (random_bits.h): one of t's neighbours, with t's expectation to 2^-17
//   decoded value = (q * step + base) * (1 / lift); minmax: at most max
// Lifting by a power of two is exact: blocks of denormals keep the accuracy of all others.
//
// Error: |value - x| <= step / lift (nearest: half of it) and some ulps of the largest |x|.
// Deterministic: the same bits in every instruction set and for every division of a tensor at
// multiples of the block length that are multiples of 512.
#pragma once

#include <cstdint>

#include "gradwire/chunks.h"
#include "gradwire/isa.h"
#include "gradwire/random_bits.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

enum class Scale : std::uint8_t { absmax, l2, minmax };

// What decoding needs to know.
struct Grid {
    unsigned bits;        // 1 to 8; symmetric: at least 2
    unsigned levels;      // s; not used for minmax
    std::uint64_t block;  // elements: a multiple of 16, or 0 for one block of all
    Scale scale;
};

struct Encoding {
    Grid grid;
    bool given;       // scales are read, not written
    bool stochastic;  // else to nearest, and random is not used
    RandomStream random;
};

constexpr std::uint64_t code_bytes(std::uint64_t n, unsigned bits) noexcept {
    return bits * plane_bytes(n);
}
constexpr std::uint64_t scale_count(std::uint64_t n, std::uint64_t block, Scale scale) noexcept {
    return block_count(n, block) * (scale == Scale::minmax ? 2 : 1);
}

// Reads x once if a block fits in the cache: sizeof(T) + bits / 8 bytes per element.
template <typename T>
void quantize(const T* x, std::uint64_t n, const Encoding& how, float* scales,
              std::uint8_t* codes) noexcept;

// acc = residual + gradient (in this operand order), quantised; error = acc - decoded value.
// error may be gradient itself if T is float; nothing else may overlap. 12 + bits / 8 bytes per
// element (float32, in place), 8 more if a block does not fit in the cache and scales are not
// given.
template <typename T>
void compensate_quantize(const T* gradient, const float* residual, std::uint64_t n,
                         const Encoding& how, float* error, float* scales,
                         std::uint8_t* codes) noexcept;

// Any bytes are valid codes, and any floats scales.
template <typename T>
void dequantize(const std::uint8_t* codes, const float* scales, std::uint64_t n, const Grid& grid,
                T* out) noexcept;
void dequantize_add(const std::uint8_t* codes, const float* scales, std::uint64_t n,
                    const Grid& grid, float* out) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
