// gradwire._cpu: the CPU kernels, one submodule for each instruction set; gradwire.kernels chooses.
#include <pybind11/pybind11.h>

#include "gradwire/isa.h"
#include "gradwire/threads.h"

// Defined in table.cpp, which is compiled once for each.
namespace gradwire::generic {
void bind_all(pybind11::module_& module);
}
namespace gradwire::avx2 {
void bind_all(pybind11::module_& module);
}
namespace gradwire::avx512 {
void bind_all(pybind11::module_& module);
}

PYBIND11_MODULE(_cpu, module, pybind11::mod_gil_not_used()) {
    using gradwire::Isa;
    using gradwire::runs;
    module.doc() = "CPU kernels; use gradwire.kernels";
    module.attr("__version__") = GRADWIRE_VERSION;
    module.attr("compiler") = GRADWIRE_COMPILER;
    module.attr("has_threads") = gradwire::has_threads();
    module.attr("max_threads") = gradwire::kMaxThreads;
    module.def("threads", &gradwire::threads);
    module.def("set_threads", &gradwire::set_threads);
    pybind11::list isas;  // those that run here, the best one last
    const auto add = [&](Isa isa, const char* name, void (*bind)(pybind11::module_&)) {
        if (runs(isa)) {
            auto submodule = module.def_submodule(name);
            bind(submodule);
            isas.append(name);
        }
    };
    add(Isa::generic, "generic", &gradwire::generic::bind_all);
#if defined(GRADWIRE_X86)
    add(Isa::avx2, "avx2", &gradwire::avx2::bind_all);
    add(Isa::avx512, "avx512", &gradwire::avx512::bind_all);
#endif
    module.attr("isas") = pybind11::tuple(isas);
}
