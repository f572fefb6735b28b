// gradwire._cuda: the CUDA kernels, with the functions of a table of gradwire._cpu; or, emulated,
// the same kernels on the host, for tests.
#include <pybind11/pybind11.h>

#include "families.h"

#if defined(GRADWIRE_EMULATED)
PYBIND11_MODULE(_cuda_emulated, module, pybind11::mod_gil_not_used()) {
    module.doc() = "CUDA kernels on the host, for tests";
#else
PYBIND11_MODULE(_cuda, module, pybind11::mod_gil_not_used()) {
    module.doc() = "CUDA kernels; use gradwire.kernels";
#endif
    module.attr("__version__") = GRADWIRE_VERSION;
    module.attr("compiler") = GRADWIRE_COMPILER;
    gradwire::bind_all(module);
}
