#include "gradwire/select.h"

#include "gather.h"
#include "gradwire/magnitude.h"
#include "sources.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

template <typename Source>
Selection reaching(const Source& source, std::uint64_t head, std::uint64_t n, float threshold,
                   const Entries& out) noexcept {
    const std::uint64_t found =
        gather(source, head, n, floor_magnitude(threshold), out, Overflow::count_on);
    return {found < out.capacity ? found : out.capacity, found, bits_float(magnitude(threshold))};
}

}  // namespace

template <typename T>
void select(const T* x, std::uint64_t n, float threshold, Entries out, Selection* result) noexcept {
    *result = reaching(Plain<T>{x}, 0, n, threshold, out);
}

template <typename T>
void compensate_select(const T* gradient, const float* residual, std::uint64_t n, float threshold,
                       float* acc, Entries out, Selection* result) noexcept {
    *result = with_compensated(gradient, residual, n, acc, [&](const auto& source, auto head) {
        return reaching(source, head, n, threshold, out);
    });
}

template <typename T>
void momentum_select(const Momentum<T>& arrays, std::uint64_t n, float threshold, Entries out,
                     Selection* result) noexcept {
    *result = arrays.nesterov ? reaching(MomentumCorrected<T, true>{arrays}, 0, n, threshold, out)
                              : reaching(MomentumCorrected<T, false>{arrays}, 0, n, threshold, out);
}

#define GRADWIRE_INSTANTIATE(T)                                                                    \
    template void select(const T*, std::uint64_t, float, Entries, Selection*) noexcept;            \
    template void compensate_select(const T*, const float*, std::uint64_t, float, float*, Entries, \
                                    Selection*) noexcept;                                          \
    template void momentum_select(const Momentum<T>&, std::uint64_t, float, Entries,               \
                                  Selection*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
