#include <pybind11/pybind11.h>

#include "../cuda/natural.h"
#include "../cuda/quantize.h"
#include "../cuda/sign.h"
#include "arrays.h"
#include "coding.h"
#include "compensation.h"
#include "quantize_arrays.h"
#include "queued_arrays.h"
#include "sign_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kReal;
using python::kUint32;
using python::kUint8;
using python::Operation;
using python::visit_real;
using python::without_lock;
using std::uint64_t;

// who: the operation that asks.
uint64_t quantize_workspace_(const char* who, uint64_t n, py::handle block, py::handle scale,
                             bool given) {
    const Operation operation(who);
    Encoding how{};
    how.grid.scale = scale_named(operation, scale);
    how.grid.block = block_length(operation, block);
    how.given = given;
    return room_bytes(quantize_workspace(n, how));
}

// What a quantiser needs beside its inputs and outputs.
struct QuantizeMeans {
    StepArray step;
    Room room;

    QuantizeMeans(const Operation& operation, uint64_t n, const QuantizeTarget& target,
                  py::handle step_, py::handle workspace)
        : step(operation, step_), room(operation, workspace, quantize_workspace(n, target.how)) {
        if (!target.how.stochastic && !step_.is_none()) {
            operation.fail("step needs random, the stream that it is a step of");
        }
        operation.apart({&step.array, &room.array}, {&target.codes});
        operation.apart({&step.array}, {&room.array});
        operation.apart({&target.scales}, {&room.array});
        if (!target.how.given) {
            operation.apart({&step.array}, {&target.scales});
        }
    }
};

py::tuple quantize_(py::handle x, py::handle bits, py::handle levels, py::handle block,
                    py::handle scale, py::handle random, py::handle step, bool given,
                    py::handle scales, py::handle codes, py::handle workspace) {
    const Operation operation("queued.quantize");
    const Array array = operation.input("x", x, kReal);
    const Grid grid = grid_of(operation, bits, levels, block, scale);
    const QuantizeTarget target(operation, array.size, grid, random, given, scales, codes);
    target.check_apart(operation, {&array});
    const QuantizeMeans means(operation, array.size, target, step, workspace);
    operation.apart({&array}, {&means.room.array});
    without_lock([&] {
        visit_real(array, [&](const auto* p) {
            enqueue_quantize(p, array.size, target.how, means.step.step(),
                             target.scales.as<float>(), target.codes.as<std::uint8_t>(),
                             means.room.memory());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

py::tuple compensate_quantize_(py::handle gradient, py::handle residual, py::handle bits,
                               py::handle levels, py::handle block, py::handle scale,
                               py::handle random, py::handle step, bool given, py::handle error,
                               py::handle scales, py::handle codes, py::handle workspace) {
    const Operation operation("queued.compensate_quantize");
    const Compensation arrays(operation, gradient, residual, "out_error", error);
    const Grid grid = grid_of(operation, bits, levels, block, scale);
    const uint64_t n = arrays.gradient.size;
    const QuantizeTarget target(operation, n, grid, random, given, scales, codes);
    target.check_apart(operation, {&arrays.gradient, &arrays.residual, &arrays.out});
    if (given) {
        operation.apart({&target.scales}, {&arrays.out});
    }
    const QuantizeMeans means(operation, n, target, step, workspace);
    operation.apart({&means.step.array}, {&arrays.out});
    operation.apart({&arrays.gradient, &arrays.residual, &arrays.out}, {&means.room.array});
    without_lock([&] {
        visit_real(arrays.gradient, [&](const auto* p) {
            enqueue_compensate_quantize(p, arrays.residual.as<const float>(), n, target.how,
                                        means.step.step(), arrays.out.as<float>(),
                                        target.scales.as<float>(), target.codes.as<std::uint8_t>(),
                                        means.room.memory());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

uint64_t sign_workspace_(const char* who, uint64_t n, py::handle block, bool given) {
    const Operation operation(who);
    return room_bytes(sign_workspace(n, block_length(operation, block), given));
}

py::tuple quantize_sign_(py::handle x, py::handle block, bool given, py::handle scales,
                         py::handle codes, py::handle workspace) {
    const Operation operation("queued.quantize_sign");
    const Array array = operation.input("x", x, kReal);
    const SignTarget target(operation, array.size, block, given, scales, codes);
    target.check_apart(operation, {&array});
    const Room room(operation, workspace, sign_workspace(array.size, target.block, given));
    operation.apart({&array, &target.scales, &target.codes}, {&room.array});
    without_lock([&] {
        visit_real(array, [&](const auto* p) {
            enqueue_quantize_sign(p, array.size, target.block, given, target.scales.as<float>(),
                                  target.codes.as<std::uint8_t>(), room.memory());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

py::tuple compensate_sign_(py::handle gradient, py::handle residual, py::handle block, bool given,
                           py::handle error, py::handle scales, py::handle codes,
                           py::handle workspace) {
    const Operation operation("queued.compensate_sign");
    const Compensation arrays(operation, gradient, residual, "out_error", error);
    const uint64_t n = arrays.gradient.size;
    const SignTarget target(operation, n, block, given, scales, codes);
    target.check_apart(operation, {&arrays.gradient, &arrays.residual, &arrays.out});
    if (given) {
        operation.apart({&target.scales}, {&arrays.out});
    }
    const Room room(operation, workspace, sign_workspace(n, target.block, given));
    operation.apart(
        {&arrays.gradient, &arrays.residual, &arrays.out, &target.scales, &target.codes},
        {&room.array});
    without_lock([&] {
        visit_real(arrays.gradient, [&](const auto* p) {
            enqueue_compensate_sign(p, arrays.residual.as<const float>(), n, target.block, given,
                                    arrays.out.as<float>(), target.scales.as<float>(),
                                    target.codes.as<std::uint8_t>(), room.memory());
        });
    });
    return codes_and_scales(codes, target.codes, scales, target.scales);
}

void quantize_natural_(py::handle x, py::handle random, py::handle codes, py::handle not_finite,
                       py::handle step_) {
    const Operation operation("queued.quantize_natural");
    const Array array = operation.input("x", x, kReal);
    const Array out = operation.output_of("out_codes", codes, kUint8, array.size);
    const Array flag = operation.output_of("out_not_finite", not_finite, kUint32, 1);
    const RandomStream stream = random_stream(operation, random);
    const StepArray step(operation, step_);
    operation.apart({&array, &step.array}, {&out, &flag});
    without_lock([&] {
        visit_real(array, [&](const auto* p) {
            enqueue_quantize_natural(p, array.size, stream, step.step(), out.as<std::uint8_t>(),
                                     flag.as<std::uint32_t>());
        });
    });
}

}  // namespace

void bind_queued_coding(py::module_& module) {
    module.def("queued_quantize_workspace", &quantize_workspace_);
    module.def("queued_quantize", &quantize_);
    module.def("queued_compensate_quantize", &compensate_quantize_);
    module.def("queued_sign_workspace", &sign_workspace_);
    module.def("queued_quantize_sign", &quantize_sign_);
    module.def("queued_compensate_sign", &compensate_sign_);
    module.def("queued_quantize_natural", &quantize_natural_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
