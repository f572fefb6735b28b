// 6 bytes per element: the 16-bit types as arrays of their own.
#include "gradwire/bfloat16.h"
#include "gradwire/float16.h"
#include "queue.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kQuadsAtOnce = 4;
constexpr unsigned kRow = kThreads * kQuad;
constexpr unsigned kOfBlock = kRow * kQuadsAtOnce;

template <typename To, typename From>
GRADWIRE_DEVICE Quad<To> cast_quad(const Quad<From>& quad) {
    Quad<To> cast;
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
        cast.at[j] = from_float<To>(to_float(quad.at[j]));
    }
    return cast;
}

template <typename From, typename To>
__global__ void __launch_bounds__(kThreads) cast_kernel(const From* x, std::uint64_t n, To* out) {
    const std::uint64_t block = std::uint64_t{blockIdx.x} * kOfBlock;
    const std::uint64_t first = block + threadIdx.x * kQuad;
    Quad<From> quads[kQuadsAtOnce];
    if (in_words(x) && block + kOfBlock <= n) {
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < kQuadsAtOnce; ++q) {
            quads[q] = load_whole_quad(x, first + q * kRow);
        }
    } else {
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < kQuadsAtOnce; ++q) {
            quads[q] = load_quad(x, first + q * kRow, n);
        }
    }
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuadsAtOnce; ++q) {
        store_quad(out, first + q * kRow, n, cast_quad<To>(quads[q]));
    }
}

template <typename From, typename To>
void cast(const From* x, std::uint64_t n, To* out) noexcept {
    launch(blocks_for(n, kOfBlock), kThreads, cast_kernel<From, To>, x, n, out);
}

}  // namespace

void to_bfloat16(const float* x, std::uint64_t n, std::uint16_t* out) noexcept {
    cast(x, n, reinterpret_cast<bfloat16*>(out));
}

void from_bfloat16(const std::uint16_t* bits, std::uint64_t n, float* out) noexcept {
    cast(reinterpret_cast<const bfloat16*>(bits), n, out);
}

void to_float16(const float* x, std::uint64_t n, float16* out) noexcept {
    cast(x, n, out);
}

void from_float16(const float16* x, std::uint64_t n, float* out) noexcept {
    cast(x, n, out);
}

}  // namespace cuda
}  // namespace gradwire
