#include "gradwire/arithmetic.h"

#include "float_environment.h"
#include "parallel.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// Fewer than sixteen elements, in memory that has room for sixteen.
template <typename T>
struct Tail {
    alignas(64) T lane[kLanes] = {};

    Tail(const T* from, std::uint64_t count) noexcept {
        for (std::uint64_t i = 0; i < count; ++i) {
            lane[i] = from[i];
        }
    }
    void put(T* to, std::uint64_t count) const noexcept {
        for (std::uint64_t i = 0; i < count; ++i) {
            to[i] = lane[i];
        }
    }
};

// out[i] = result(a[i], b[i]), sixteen at a time.
template <typename A, typename B, typename Out, typename Result>
void combine_part(const A* a, const B* b, std::uint64_t n, Out* out, Result result) noexcept {
    std::uint64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        store(out + i, result(load(a + i), load(b + i)));
    }
    if (const std::uint64_t rest = n - i; rest > 0) {
        const Tail<A> first(a + i, rest);
        const Tail<B> second(b + i, rest);
        Tail<Out> last(out + i, 0);
        store(last.lane, result(load(first.lane), load(second.lane)));
        last.put(out + i, rest);
    }
}

template <typename A, typename B, typename Out, typename Result>
void combine(const A* a, const B* b, std::uint64_t n, Out* out, Result result) noexcept {
    in_parallel(n, kLanes, [=](std::uint64_t begin, std::uint64_t end) {
        combine_part(a + begin, b + begin, end - begin, out + begin, result);
    });
}

// A float32 whatever the modes of the thread.
float rounded(double factor) noexcept {
    const IeeeArithmetic ieee;
    return static_cast<float>(factor);
}

}  // namespace

template <typename A, typename B, typename Out>
void add(const A* a, const B* b, std::uint64_t n, Out* out) noexcept {
    combine(a, b, n, out, [](Floats first, Floats second) { return first + second; });
}

template <typename T, typename Out>
void scale(const T* x, double factor, std::uint64_t n, Out* out) noexcept {
    const Floats factors = floats(rounded(factor));
    combine(x, x, n, out, [=](Floats value, Floats) { return value * factors; });
}

template <typename T, typename Out>
void scale_add(const T* x, double factor, std::uint64_t n, Out* out) noexcept {
    const Floats factors = floats(rounded(factor));
    combine(out, x, n, out, [=](Floats sum, Floats value) { return sum + value * factors; });
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

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
