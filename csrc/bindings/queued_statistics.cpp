#include <pybind11/pybind11.h>

#include "../cuda/statistics.h"
#include "arrays.h"
#include "queued_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kFloat32;
using python::kFloat64;
using python::kReal;
using python::kUint32;
using python::Operation;
using python::visit_real;
using python::without_lock;
using std::uint64_t;

void finite_check_(py::handle x, py::handle out) {
    const Operation operation("queued.finite_check");
    const Array array = operation.input("x", x, kReal);
    const Array result = operation.output_of("out", out, kUint32, 1);
    operation.apart({&array}, {&result});
    without_lock([&] {
        visit_real(array, [&](const auto* data) {
            enqueue_finite_check(data, array.size, result.as<std::uint32_t>());
        });
    });
}

void absmax_(py::handle x, py::handle out) {
    const Operation operation("queued.absmax");
    const Array array = operation.input("x", x, kReal);
    const Array result = operation.output_of("out", out, kFloat32, 1);
    operation.apart({&array}, {&result});
    without_lock([&] {
        visit_real(array,
                   [&](const auto* data) { enqueue_absmax(data, array.size, result.as<float>()); });
    });
}

void norm_(py::handle x, unsigned order, py::handle out, py::handle workspace) {
    const Operation operation("queued.norm");
    const Array array = operation.input("x", x, kReal);
    const Array result = operation.output_of("out", out, kFloat64, 1);
    const Room room(operation, workspace, norm_workspace(array.size));
    operation.apart({&array}, {&result, &room.array});
    without_lock([&] {
        visit_real(array, [&](const auto* data) {
            enqueue_norm(data, array.size, order, room.memory(), result.as<double>());
        });
    });
}

void kth_magnitude_(py::handle x, uint64_t k, py::handle out, py::handle workspace) {
    const Operation operation("queued.kth_magnitude");
    const Array array = operation.input("x", x, kReal);
    const Array result = operation.output_of("out", out, kFloat32, 1);
    const Room room(operation, workspace, kth_magnitude_workspace(array.size));
    operation.apart({&array}, {&result, &room.array});
    without_lock([&] {
        visit_real(array, [&](const auto* data) {
            enqueue_kth_magnitude(data, array.size, k, room.memory(), result.as<float>());
        });
    });
}

}  // namespace

void bind_queued_statistics(py::module_& module) {
    module.def("queued_finite_check", &finite_check_);
    module.def("queued_absmax", &absmax_);
    module.def("queued_norm_workspace", [](uint64_t n) { return room_bytes(norm_workspace(n)); });
    module.def("queued_norm", &norm_);
    module.def("queued_kth_magnitude_workspace",
               [](uint64_t n) { return room_bytes(kth_magnitude_workspace(n)); });
    module.def("queued_kth_magnitude", &kth_magnitude_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
