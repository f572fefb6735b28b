#include "gradwire/quantize.h"

#include <pybind11/pybind11.h>

#include "arrays.h"
#include "coding.h"
#include "compensation.h"
#include "families.h"
#include "quantize_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kFloat32;
using python::kFloating;
using python::kReal;
using python::kUint16;
using python::kUint8;
using python::Operation;
using python::visit;
using python::visit_real;
using python::without_lock;
using std::uint64_t;

py::tuple quantize_(py::handle x, py::handle bits, py::handle levels, py::handle block,
                    py::handle scale, py::handle random, bool given, py::handle scales,
                    py::handle codes) {
    const Operation operation("quantize");
    const Array array = operation.input("x", x, kReal);
    const Grid grid = grid_of(operation, bits, levels, block, scale);
    const QuantizeTarget target(operation, array.size, grid, random, given, scales, codes);
    target.check_apart(operation, {&array});
    without_lock([&] {
        visit_real(array, [&](const auto* p) {
            quantize(p, array.size, target.how, target.scales.as<float>(),
                     target.codes.as<std::uint8_t>());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

py::tuple compensate_quantize_(py::handle gradient, py::handle residual, py::handle bits,
                               py::handle levels, py::handle block, py::handle scale,
                               py::handle random, bool given, py::handle error, py::handle scales,
                               py::handle codes) {
    const Operation operation("compensate_quantize");
    const Compensation arrays(operation, gradient, residual, "out_error", error);
    const Grid grid = grid_of(operation, bits, levels, block, scale);
    const uint64_t n = arrays.gradient.size;
    const QuantizeTarget target(operation, n, grid, random, given, scales, codes);
    target.check_apart(operation, {&arrays.gradient, &arrays.residual, &arrays.out});
    if (given) {
        operation.apart({&target.scales}, {&arrays.out});
    }
    without_lock([&] {
        visit_real(arrays.gradient, [&](const auto* p) {
            compensate_quantize(p, arrays.residual.as<float>(), n, target.how,
                                arrays.out.as<float>(), target.scales.as<float>(),
                                target.codes.as<std::uint8_t>());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

// Inputs of a decoder.
struct Encoded {
    Grid grid;
    Array codes;
    Array scales;
    Array out;

    Encoded(const Operation& operation, py::handle codes_, py::handle scales_, py::handle bits,
            py::handle levels, py::handle block, py::handle scale, py::handle out_,
            python::Types types)
        : grid(grid_of(operation, bits, levels, block, scale)),
          codes(operation.input("codes", codes_, kUint8)),
          scales(operation.input("scales", scales_, kFloat32)),
          out(operation.output("out", out_, types)) {
        exact_length(operation, codes, code_bytes(out.size, grid.bits));
        exact_length(operation, scales, scale_count(out.size, grid.block, grid.scale));
        operation.apart({&codes, &scales}, {&out});
    }
};

void dequantize_(py::handle codes, py::handle scales, py::handle bits, py::handle levels,
                 py::handle block, py::handle scale, py::handle out) {
    const Encoded x(Operation("dequantize"), codes, scales, bits, levels, block, scale, out,
                    kFloating);
    without_lock([&] {
        visit(x.out, [&](auto* p) {
            dequantize(x.codes.as<std::uint8_t>(), x.scales.as<float>(), x.out.size, x.grid, p);
        });
    });
}

void dequantize_add_(py::handle codes, py::handle scales, py::handle bits, py::handle levels,
                     py::handle block, py::handle scale, py::handle out) {
    const Encoded x(Operation("dequantize_add"), codes, scales, bits, levels, block, scale, out,
                    kFloat32);
    without_lock([&] {
        dequantize_add(x.codes.as<std::uint8_t>(), x.scales.as<float>(), x.out.size, x.grid,
                       x.out.as<float>());
    });
}

void random_bits_(py::handle random, py::handle out) {
    const Operation operation("random_bits");
    const Array array = operation.output("out", out, kUint16);
    const RandomStream stream = random_stream(operation, random);
    without_lock([&] { random_bits(stream, array.size, array.as<std::uint16_t>()); });
}

}  // namespace

void bind_quantize(py::module_& module) {
    module.def("quantize", &quantize_);
    module.def("compensate_quantize", &compensate_quantize_);
    module.def("dequantize", &dequantize_);
    module.def("dequantize_add", &dequantize_add_);
    module.def("random_bits", &random_bits_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
