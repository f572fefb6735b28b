// gradwire._cuda: the CUDA kernels, with the functions of a table of gradwire._cpu; or, emulated,
// the same kernels on the host, for tests.
#include <pybind11/pybind11.h>

#include "../cuda/devices.h"
#include "../cuda/queue.h"
#include "families.h"

namespace py = pybind11;

namespace {

py::list devices() {
    py::list found;
    for (int number = 0; number < gradwire::device_count(); ++number) {
        gradwire::Device device;
        if (gradwire::describe(number, &device)) {
            using namespace pybind11::literals;
            found.append(py::dict("name"_a = device.name, "major"_a = device.major,
                                  "minor"_a = device.minor, "processors"_a = device.processors,
                                  "memory_bytes"_a = device.memory_bytes,
                                  "cache_bytes"_a = device.cache_bytes));
        }
    }
    return found;
}

}  // namespace

#if defined(GRADWIRE_EMULATED)
PYBIND11_MODULE(_cuda_emulated, module, py::mod_gil_not_used()) {
    module.doc() = "CUDA kernels on the host, for tests";
#else
PYBIND11_MODULE(_cuda, module, py::mod_gil_not_used()) {
    module.doc() = "CUDA kernels; use gradwire.kernels";
#endif
    module.attr("__version__") = GRADWIRE_VERSION;
    module.attr("compiler") = GRADWIRE_COMPILER;
    module.attr("architectures") = GRADWIRE_ARCHITECTURES;
    module.def("devices", &devices);
    module.def("runtime_version", &gradwire::runtime_version);
    module.def("driver_version", &gradwire::driver_version);
#if defined(GRADWIRE_EMULATED)
    module.def("host_dealings", [] {
        const auto& counts = gradwire::emulation::host_dealings();
        return py::make_tuple(counts.fetches.load(), counts.sends.load(), counts.scratches.load());
    });
#endif
    gradwire::bind_all(module);
}
