// The families of operations, as functions of one instruction set.
#pragma once

#include <pybind11/pybind11.h>

#include "gradwire/isa.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

#if defined(GRADWIRE_ON_DEVICE)  // temporary, see table.cpp
#define GRADWIRE_OPTIONAL __attribute__((weak))
#else
#define GRADWIRE_OPTIONAL
#endif

void bind_all(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_selection(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_statistics(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_sparse(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_indices(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_bits(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_casts(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_random(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_quantize(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_sign(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_natural(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_arithmetic(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_transform(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_dynamic(pybind11::module_& module);
GRADWIRE_OPTIONAL void bind_minifloat(pybind11::module_& module);
#if defined(GRADWIRE_ON_DEVICE)
void bind_queued(pybind11::module_& module);
#endif

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
