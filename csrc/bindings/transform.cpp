#include "gradwire/transform.h"

#include <pybind11/pybind11.h>

#include <string>

#include "arrays.h"
#include "families.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kFloat32;
using python::Operation;
using python::without_lock;
using std::uint32_t;
using std::uint64_t;

// signs: 0 none, 1 before, 2 after. block: checked by the caller.
void hadamard_(py::handle x, uint64_t block, py::handle out, uint32_t signs, uint32_t seed,
               uint32_t key, uint32_t step, uint32_t stream) {
    const Operation operation("hadamard");
    const Array array = operation.input("x", x, kFloat32);
    const Array result = operation.output("out", out, kFloat32);
    operation.same_length(result, array);
    if (result.data != array.data) {
        operation.apart({&array}, {&result});
    }
    if (array.size % block != 0) {
        operation.fail("x must have a multiple of " + std::to_string(block) +
                       " elements (block), got " + std::to_string(array.size) +
                       ": append zeros to it");
    }
    without_lock([&] {
        hadamard(array.as<float>(), array.size, block, static_cast<Signs>(signs),
                 {seed, key, step, stream}, result.as<float>());
    });
}

}  // namespace

void bind_transform(py::module_& module) {
    module.def("hadamard", &hadamard_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
