#include "gradwire/dynamic.h"

#include <pybind11/pybind11.h>

#include "arrays.h"
#include "coding.h"
#include "compensation.h"
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
using std::uint64_t;

uint64_t dynamic_bytes(uint64_t n) noexcept {
    return n;
}

struct DynamicTarget {
    uint64_t block;
    Array scales;
    Array codes;

    DynamicTarget(const Operation& operation, uint64_t n, py::handle block_, py::handle scales_,
                  py::handle codes_)
        : block(block_length(operation, block_)),
          scales(operation.output_of("out_scales", scales_, kFloat32,
                                     scale_count(n, block, Scale::absmax))),
          codes(operation.output_of("out_codes", codes_, kUint8, dynamic_bytes(n))) {}
};

py::tuple quantize_dynamic_(py::handle x, py::handle block, py::handle scales, py::handle codes) {
    const Operation operation("quantize_dynamic");
    const Array array = operation.input("x", x, kReal);
    const DynamicTarget target(operation, array.size, block, scales, codes);
    operation.apart({&array}, {&target.scales, &target.codes});
    without_lock([&] {
        visit_real(array, [&](const auto* p) {
            quantize_dynamic(p, array.size, target.block, target.scales.as<float>(),
                             target.codes.as<std::uint8_t>());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

py::tuple compensate_quantize_dynamic_(py::handle gradient, py::handle residual, py::handle block,
                                       py::handle error, py::handle scales, py::handle codes) {
    const Operation operation("compensate_quantize_dynamic");
    const Compensation arrays(operation, gradient, residual, "out_error", error);
    const DynamicTarget target(operation, arrays.gradient.size, block, scales, codes);
    operation.apart({&arrays.gradient, &arrays.residual, &arrays.out},
                    {&target.scales, &target.codes});
    without_lock([&] {
        visit_real(arrays.gradient, [&](const auto* p) {
            compensate_quantize_dynamic(p, arrays.residual.as<float>(), arrays.gradient.size,
                                        target.block, arrays.out.as<float>(),
                                        target.scales.as<float>(), target.codes.as<std::uint8_t>());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

void dequantize_dynamic_(py::handle codes, py::handle scales, py::handle block, py::handle out) {
    const EncodedBlocks x(Operation("dequantize_dynamic"), codes, scales, block, out, kFloating,
                          &dynamic_bytes);
    without_lock([&] {
        visit(x.out, [&](auto* p) {
            dequantize_dynamic(x.codes.as<std::uint8_t>(), x.scales.as<float>(), x.out.size,
                               x.block, p);
        });
    });
}

void dequantize_dynamic_add_(py::handle codes, py::handle scales, py::handle block,
                             py::handle out) {
    const EncodedBlocks x(Operation("dequantize_dynamic_add"), codes, scales, block, out, kFloat32,
                          &dynamic_bytes);
    without_lock([&] {
        dequantize_dynamic_add(x.codes.as<std::uint8_t>(), x.scales.as<float>(), x.out.size,
                               x.block, x.out.as<float>());
    });
}

}  // namespace

void bind_dynamic(py::module_& module) {
    module.def("quantize_dynamic", &quantize_dynamic_);
    module.def("compensate_quantize_dynamic", &compensate_quantize_dynamic_);
    module.def("dequantize_dynamic", &dequantize_dynamic_);
    module.def("dequantize_dynamic_add", &dequantize_dynamic_add_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
