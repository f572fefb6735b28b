#include <pybind11/pybind11.h>

#include "arrays.h"
#include "families.h"
#include "gradwire/bfloat16.h"
#include "gradwire/float16.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kFloat16;
using python::kFloat32;
using python::kUint16;
using python::Operation;
using python::without_lock;

void to_bfloat16_(py::handle x, py::handle out) {
    const Operation operation("to_bfloat16");
    const Array array = operation.input("x", x, kFloat32);
    const Array bits = operation.output("out", out, kUint16, array.size);
    operation.apart({&array}, {&bits});
    without_lock([&] { to_bfloat16(array.as<float>(), array.size, bits.as<std::uint16_t>()); });
}

void from_bfloat16_(py::handle bits, py::handle out) {
    const Operation operation("from_bfloat16");
    const Array array = operation.input("bits", bits, kUint16);
    const Array values = operation.output("out", out, kFloat32, array.size);
    operation.apart({&array}, {&values});
    without_lock([&] { from_bfloat16(array.as<std::uint16_t>(), array.size, values.as<float>()); });
}

void to_float16_(py::handle x, py::handle out) {
    const Operation operation("to_float16");
    const Array array = operation.input("x", x, kFloat32);
    const Array halves = operation.output("out", out, kFloat16, array.size);
    operation.apart({&array}, {&halves});
    without_lock([&] { to_float16(array.as<float>(), array.size, halves.as<float16>()); });
}

void from_float16_(py::handle x, py::handle out) {
    const Operation operation("from_float16");
    const Array array = operation.input("x", x, kFloat16);
    const Array values = operation.output("out", out, kFloat32, array.size);
    operation.apart({&array}, {&values});
    without_lock([&] { from_float16(array.as<float16>(), array.size, values.as<float>()); });
}

}  // namespace

void bind_casts(py::module_& module) {
    module.def("to_bfloat16", &to_bfloat16_);
    module.def("from_bfloat16", &from_bfloat16_);
    module.def("to_float16", &to_float16_);
    module.def("from_float16", &from_float16_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
