#include "families.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

void bind_all(pybind11::module_& module) {
#if defined(GRADWIRE_ON_DEVICE)  // temporary: families appear with their kernels
#define GRADWIRE_BIND(family)        \
    if (&bind_##family != nullptr) { \
        bind_##family(module);       \
    }
#else
#define GRADWIRE_BIND(family) bind_##family(module);
#endif
    GRADWIRE_BIND(selection)
    GRADWIRE_BIND(statistics)
    GRADWIRE_BIND(sparse)
    GRADWIRE_BIND(indices)
    GRADWIRE_BIND(bits)
    GRADWIRE_BIND(casts)
    GRADWIRE_BIND(random)
    GRADWIRE_BIND(quantize)
    GRADWIRE_BIND(sign)
    GRADWIRE_BIND(natural)
    GRADWIRE_BIND(arithmetic)
    GRADWIRE_BIND(transform)
    GRADWIRE_BIND(dynamic)
    GRADWIRE_BIND(minifloat)
#if defined(GRADWIRE_ON_DEVICE)
    bind_queued(module);
#endif
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
