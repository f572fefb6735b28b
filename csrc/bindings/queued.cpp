// The operations of gradwire.kernels.queued: on arrays of a device, and nothing waits for it.
#include "families.h"
#include "queued_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

void bind_queued(pybind11::module_& module) {
    bind_queued_bits(module);
    bind_queued_coding(module);
    bind_queued_random(module);
    bind_queued_selection(module);
    bind_queued_sets(module);
    bind_queued_sparse(module);
    bind_queued_statistics(module);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
