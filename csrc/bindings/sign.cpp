#include "gradwire/sign.h"

#include <pybind11/pybind11.h>

#include "arrays.h"
#include "coding.h"
#include "compensation.h"
#include "families.h"
#include "sign_arrays.h"

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

py::tuple quantize_sign_(py::handle x, py::handle block, bool given, py::handle scales,
                         py::handle codes) {
    const Operation operation("quantize_sign");
    const Array array = operation.input("x", x, kReal);
    const SignTarget target(operation, array.size, block, given, scales, codes);
    target.check_apart(operation, {&array});
    without_lock([&] {
        visit_real(array, [&](const auto* p) {
            quantize_sign(p, array.size, target.block, given, target.scales.as<float>(),
                          target.codes.as<std::uint8_t>());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

py::tuple compensate_sign_(py::handle gradient, py::handle residual, py::handle block, bool given,
                           py::handle error, py::handle scales, py::handle codes) {
    const Operation operation("compensate_sign");
    const Compensation arrays(operation, gradient, residual, "out_error", error);
    const SignTarget target(operation, arrays.gradient.size, block, given, scales, codes);
    target.check_apart(operation, {&arrays.gradient, &arrays.residual, &arrays.out});
    if (given) {
        operation.apart({&target.scales}, {&arrays.out});
    }
    without_lock([&] {
        visit_real(arrays.gradient, [&](const auto* p) {
            compensate_sign(p, arrays.residual.as<float>(), arrays.gradient.size, target.block,
                            given, arrays.out.as<float>(), target.scales.as<float>(),
                            target.codes.as<std::uint8_t>());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

void dequantize_sign_(py::handle codes, py::handle scales, py::handle block, py::handle out) {
    const EncodedBlocks x(Operation("dequantize_sign"), codes, scales, block, out, kFloating,
                          &sign_bytes);
    without_lock([&] {
        visit(x.out, [&](auto* p) {
            dequantize_sign(x.codes.as<std::uint8_t>(), x.scales.as<float>(), x.out.size, x.block,
                            p);
        });
    });
}

void dequantize_sign_add_(py::handle codes, py::handle scales, py::handle block, py::handle out) {
    const EncodedBlocks x(Operation("dequantize_sign_add"), codes, scales, block, out, kFloat32,
                          &sign_bytes);
    without_lock([&] {
        dequantize_sign_add(x.codes.as<std::uint8_t>(), x.scales.as<float>(), x.out.size, x.block,
                            x.out.as<float>());
    });
}

}  // namespace

void bind_sign(py::module_& module) {
    module.def("quantize_sign", &quantize_sign_);
    module.def("compensate_sign", &compensate_sign_);
    module.def("dequantize_sign", &dequantize_sign_);
    module.def("dequantize_sign_add", &dequantize_sign_add_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
