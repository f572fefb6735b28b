#include "gradwire/quantize.h"

#include <pybind11/pybind11.h>

#include <string>

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
using python::kUint16;
using python::kUint8;
using python::Operation;
using python::visit;
using python::visit_real;
using python::without_lock;
using std::uint64_t;

Scale scale_named(const Operation& operation, py::handle object) {
    const auto is = [&](const char* name) {
        return PyUnicode_Check(object.ptr()) != 0 &&
               PyUnicode_CompareWithASCIIString(object.ptr(), name) == 0;
    };
    if (is("absmax")) {
        return Scale::absmax;
    }
    if (is("l2")) {
        return Scale::l2;
    }
    if (!is("minmax")) {
        operation.fail("scale must be absmax, l2 or minmax, got " + shown(object));
    }
    return Scale::minmax;
}

Grid grid_of(const Operation& operation, py::handle bits, py::handle levels, py::handle block,
             py::handle scale) {
    Grid grid{};
    grid.scale = scale_named(operation, scale);
    const bool minmax = grid.scale == Scale::minmax;
    grid.bits = static_cast<unsigned>(integer(operation, "bits", bits, minmax ? 1 : 2, 8));
    const unsigned most = minmax ? (1U << grid.bits) - 1 : (1U << (grid.bits - 1)) - 1;
    if (minmax && !levels.is_none()) {
        operation.fail("levels must be None with minmax, whose codes are all used");
    }
    grid.levels = levels.is_none()
                      ? most
                      : static_cast<unsigned>(integer(operation, "levels", levels, 1, most));
    grid.block = block_length(operation, block);
    return grid;
}

// Outputs of an encoder, and all it is told.
struct Target {
    Encoding how{};
    Array scales;
    Array codes;

    Target(const Operation& operation, uint64_t n, const Grid& grid, py::handle random, bool given,
           py::handle scales_, py::handle codes_)
        : scales(scales_array(operation, scales_, given, scale_count(n, grid.block, grid.scale))),
          codes(operation.output_of("out_codes", codes_, kUint8, code_bytes(n, grid.bits))) {
        how.grid = grid;
        how.given = given;
        how.stochastic = !random.is_none();
        if (how.stochastic) {
            how.random = random_stream(operation, random);
        }
    }
    void check_apart(const Operation& operation, std::initializer_list<const Array*> others) const {
        operation.apart(others, {&codes});
        if (!how.given) {
            operation.apart(others, {&scales});
        }
        operation.apart({&scales}, {&codes});
    }
};

py::tuple quantize_(py::handle x, py::handle bits, py::handle levels, py::handle block,
                    py::handle scale, py::handle random, bool given, py::handle scales,
                    py::handle codes) {
    const Operation operation("quantize");
    const Array array = operation.input("x", x, kReal);
    const Grid grid = grid_of(operation, bits, levels, block, scale);
    const Target target(operation, array.size, grid, random, given, scales, codes);
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
    const ErrorFeedback arrays(operation, gradient, residual, error);
    const Grid grid = grid_of(operation, bits, levels, block, scale);
    const uint64_t n = arrays.gradient.size;
    const Target target(operation, n, grid, random, given, scales, codes);
    target.check_apart(operation, {&arrays.gradient, &arrays.residual, &arrays.error});
    if (given) {
        operation.apart({&target.scales}, {&arrays.error});
    }
    without_lock([&] {
        visit_real(arrays.gradient, [&](const auto* p) {
            compensate_quantize(p, arrays.residual.as<float>(), n, target.how,
                                arrays.error.as<float>(), target.scales.as<float>(),
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
