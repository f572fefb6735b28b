// gradwire._cpu: the CPU kernels on raw addresses. gradwire.kernels is the checked face.
#include <pybind11/pybind11.h>

#include "addresses.h"

PYBIND11_MODULE(_cpu, module, pybind11::mod_gil_not_used()) {
    module.doc() = "CPU kernels on raw addresses, unchecked; use gradwire.kernels";
    module.attr("__version__") = GRADWIRE_VERSION;
    gradwire::bindings::bind_selection(module);
    gradwire::bindings::bind_sparse(module);
    gradwire::bindings::bind_codecs(module);
}
