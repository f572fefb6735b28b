// The families of operations, as functions of one instruction set.
#pragma once

#include <pybind11/pybind11.h>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

void bind_all(pybind11::module_& module);
void bind_selection(pybind11::module_& module);
void bind_statistics(pybind11::module_& module);
void bind_sparse(pybind11::module_& module);
void bind_indices(pybind11::module_& module);
void bind_bits(pybind11::module_& module);
void bind_casts(pybind11::module_& module);
void bind_random(pybind11::module_& module);
void bind_quantize(pybind11::module_& module);
void bind_sign(pybind11::module_& module);
void bind_natural(pybind11::module_& module);
void bind_arithmetic(pybind11::module_& module);
void bind_transform(pybind11::module_& module);
void bind_dynamic(pybind11::module_& module);
void bind_minifloat(pybind11::module_& module);
#if defined(GRADWIRE_ON_DEVICE)
void bind_queued(pybind11::module_& module);
#endif

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
