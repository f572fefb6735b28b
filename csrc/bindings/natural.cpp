#include "gradwire/natural.h"

#include <pybind11/pybind11.h>

#include "arrays.h"
#include "coding.h"
#include "families.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kFloat32;
using python::kFloating;
using python::kReal;
using python::kUint8;
using python::Operation;
using python::visit;
using python::visit_real;
using python::without_lock;

bool quantize_natural_(py::handle x, py::handle random, py::handle codes) {
    const Operation operation("quantize_natural");
    const Array array = operation.input("x", x, kReal);
    const Array out = operation.output("out_codes", codes, kUint8, array.size);
    const RandomStream stream = random_stream(operation, random);
    operation.apart({&array}, {&out});
    return without_lock([&] {
        return visit_real(array, [&](const auto* p) {
            return quantize_natural(p, array.size, stream, out.as<std::uint8_t>());
        });
    });
}

void dequantize_natural_(py::handle codes, py::handle out) {
    const Operation operation("dequantize_natural");
    const Array array = operation.input("codes", codes, kUint8);
    const Array values = operation.output("out", out, kFloating, array.size);
    operation.apart({&array}, {&values});
    without_lock([&] {
        visit(values,
              [&](auto* p) { dequantize_natural(array.as<std::uint8_t>(), array.size, p); });
    });
}

void dequantize_natural_add_(py::handle codes, py::handle out) {
    const Operation operation("dequantize_natural_add");
    const Array array = operation.input("codes", codes, kUint8);
    const Array values = operation.output("out", out, kFloat32);
    operation.same_length(values, array);
    operation.apart({&array}, {&values});
    without_lock(
        [&] { dequantize_natural_add(array.as<std::uint8_t>(), array.size, values.as<float>()); });
}

}  // namespace

void bind_natural(py::module_& module) {
    module.def("quantize_natural", &quantize_natural_);
    module.def("dequantize_natural", &dequantize_natural_);
    module.def("dequantize_natural_add", &dequantize_natural_add_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
