// Element by element: 4 bytes read or written for each float32 of each array, and nothing else.
#include "gradwire/arithmetic.h"
#include "queue.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {
namespace {

template <typename A, typename B, typename Out>
__global__ void __launch_bounds__(kThreads)
    add_kernel(const A* a, const B* b, std::uint64_t n, Out* out) {
    const std::uint64_t i = own_quad();
    if (i >= n) {
        return;
    }
    const Quad<float> first = load_floats(a, i, n), second = load_floats(b, i, n);
    Quad<float> sum;
    for (unsigned j = 0; j < kQuad; ++j) {
        sum.at[j] = first.at[j] + second.at[j];
    }
    store_floats(out, i, n, sum);
}

template <typename T, typename Out>
__global__ void __launch_bounds__(kThreads)
    scale_kernel(const T* x, float factor, std::uint64_t n, Out* out) {
    const std::uint64_t i = own_quad();
    if (i >= n) {
        return;
    }
    Quad<float> values = load_floats(x, i, n);
    for (unsigned j = 0; j < kQuad; ++j) {
        values.at[j] = values.at[j] * factor;
    }
    store_floats(out, i, n, values);
}

template <typename T, typename Out>
__global__ void __launch_bounds__(kThreads)
    scale_add_kernel(const T* x, float factor, std::uint64_t n, Out* out) {
    const std::uint64_t i = own_quad();
    if (i >= n) {
        return;
    }
    const Quad<float> values = load_floats(x, i, n);
    Quad<float> sum = load_floats(static_cast<const Out*>(out), i, n);
    for (unsigned j = 0; j < kQuad; ++j) {
        const float product = values.at[j] * factor;
        sum.at[j] = sum.at[j] + product;
    }
    store_floats(out, i, n, sum);
}

unsigned blocks(std::uint64_t n) noexcept {
    return blocks_for(n, kThreads * kQuad);
}

}  // namespace

template <typename A, typename B, typename Out>
void add(const A* a, const B* b, std::uint64_t n, Out* out) noexcept {
    launch(blocks(n), kThreads, add_kernel<A, B, Out>, a, b, n, out);
}

template <typename T, typename Out>
void scale(const T* x, double factor, std::uint64_t n, Out* out) noexcept {
    launch(blocks(n), kThreads, scale_kernel<T, Out>, x, static_cast<float>(factor), n, out);
}

template <typename T, typename Out>
void scale_add(const T* x, double factor, std::uint64_t n, Out* out) noexcept {
    launch(blocks(n), kThreads, scale_add_kernel<T, Out>, x, static_cast<float>(factor), n, out);
}

#define GRADWIRE_INSTANTIATE(T, Out)                                         \
    template void scale(const T*, double, std::uint64_t, Out*) noexcept;     \
    template void scale_add(const T*, double, std::uint64_t, Out*) noexcept; \
    template void add(const T*, const T*, std::uint64_t, Out*) noexcept;
GRADWIRE_INSTANTIATE(float, float)
GRADWIRE_INSTANTIATE(bfloat16, bfloat16)
GRADWIRE_INSTANTIATE(bfloat16, float)
GRADWIRE_INSTANTIATE(float16, float16)
GRADWIRE_INSTANTIATE(float16, float)
#undef GRADWIRE_INSTANTIATE

template void add(const float*, const bfloat16*, std::uint64_t, float*) noexcept;
template void add(const float*, const float16*, std::uint64_t, float*) noexcept;

}  // namespace cuda
}  // namespace gradwire
