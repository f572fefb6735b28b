#include "families.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

void bind_all(pybind11::module_& module) {
    bind_selection(module);
    bind_statistics(module);
    bind_sparse(module);
    bind_indices(module);
    bind_bits(module);
    bind_casts(module);
    bind_random(module);
    bind_quantize(module);
    bind_sign(module);
    bind_natural(module);
    bind_arithmetic(module);
    bind_transform(module);
    bind_dynamic(module);
    bind_minifloat(module);
#if defined(GRADWIRE_ON_DEVICE)
    bind_queued(module);
#endif
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
