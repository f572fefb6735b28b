#include <pybind11/pybind11.h>

#include <algorithm>
#include <initializer_list>

#include "../cuda/select.h"
#include "arrays.h"
#include "compensation.h"
#include "queued_arrays.h"
#include "selection_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kReal;
using python::kUint64;
using python::Operation;
using python::visit_real;
using python::without_lock;
using std::uint64_t;

constexpr uint64_t kFoundWords = 3;
static_assert(sizeof(Selection) == kFoundWords * sizeof(uint64_t));

// Where a selection and what became of it go, and its workspace.
struct SelectionTarget {
    EntryArrays out;
    Array found;
    Room room;

    SelectionTarget(const Operation& operation, py::handle indices, py::handle values,
                    uint64_t least, py::handle out_found, py::handle workspace, uint64_t bytes)
        : out(operation, indices, values, least),
          found(operation.output_of("out_found", out_found, kUint64, kFoundWords)),
          room(operation, workspace, bytes) {}

    Selection* result() const noexcept { return found.as<Selection>(); }

    void check_apart(const Operation& operation, const GivenNumber& number,
                     std::initializer_list<const Array*> others) const {
        operation.apart(others, {&out.indices, &out.values, &found, &room.array});
        operation.apart({&number.array}, {&out.indices, &out.values, &found, &room.array});
    }
};

void select_(py::handle x, py::handle threshold, py::handle indices, py::handle values,
             py::handle found, py::handle workspace) {
    const Operation operation("queued.select");
    const Array array = operation.input("x", x, kReal);
    const GivenNumber limit(operation, "threshold", threshold);
    const SelectionTarget target(operation, indices, values, 0, found, workspace,
                                 enqueued_select_workspace(array.size));
    target.check_apart(operation, limit, {&array});
    without_lock([&] {
        visit_real(array, [&](const auto* data) {
            enqueue_select(data, array.size, limit.given(), target.out.entries(),
                           target.room.memory(), target.result());
        });
    });
}

void compensate_select_(py::handle gradient, py::handle residual, py::handle threshold,
                        py::handle out_acc, py::handle indices, py::handle values, py::handle found,
                        py::handle workspace) {
    const Operation operation("queued.compensate_select");
    const Compensation arrays(operation, gradient, residual, "out_acc", out_acc);
    const GivenNumber limit(operation, "threshold", threshold);
    const uint64_t n = arrays.gradient.size;
    const SelectionTarget target(operation, indices, values, 0, found, workspace,
                                 enqueued_select_workspace(n));
    operation.apart({&limit.array}, {&arrays.out});
    target.check_apart(operation, limit, {&arrays.gradient, &arrays.residual, &arrays.out});
    without_lock([&] {
        visit_real(arrays.gradient, [&](const auto* data) {
            enqueue_compensate_select(data, arrays.residual.as<const float>(), n, limit.given(),
                                      arrays.out.as<float>(), target.out.entries(),
                                      target.room.memory(), target.result());
        });
    });
}

void momentum_select_(py::handle gradient, py::handle momentum, py::handle residual, double factor,
                      bool nesterov, py::handle threshold, py::handle out_momentum,
                      py::handle out_acc, py::handle indices, py::handle values, py::handle found,
                      py::handle workspace) {
    const Operation operation("queued.momentum_select");
    const MomentumArrays arrays(operation, gradient, momentum, residual, out_momentum, out_acc);
    const GivenNumber limit(operation, "threshold", threshold);
    const uint64_t n = arrays.compensation.gradient.size;
    const SelectionTarget target(operation, indices, values, 0, found, workspace,
                                 enqueued_select_workspace(n));
    operation.apart({&limit.array}, {&arrays.compensation.out, &arrays.out_momentum});
    arrays.apart_from(operation, {&target.out.indices, &target.out.values});
    arrays.apart_from(operation, {&target.found, &target.room.array});
    target.check_apart(operation, limit, {});
    without_lock([&] {
        visit_real(arrays.compensation.gradient, [&](const auto* data) {
            enqueue_momentum_select(arrays.of(data, factor, nesterov), n, limit.given(),
                                    target.out.entries(), target.room.memory(), target.result());
        });
    });
}

void topk_(py::handle x, uint64_t k, py::handle indices, py::handle values, py::handle found,
           py::handle workspace) {
    const Operation operation("queued.topk");
    const Array array = operation.input("x", x, kReal);
    const SelectionTarget target(operation, indices, values, std::min(k, array.size), found,
                                 workspace, enqueued_topk_workspace(array.size, k));
    operation.apart({&array},
                    {&target.out.indices, &target.out.values, &target.found, &target.room.array});
    without_lock([&] {
        visit_real(array, [&](const auto* data) {
            enqueue_topk(data, array.size, k, target.out.entries(), target.room.memory(),
                         target.result());
        });
    });
}

void compensate_topk_(py::handle gradient, py::handle residual, uint64_t k, py::handle floor,
                      py::handle out_acc, py::handle indices, py::handle values, py::handle found,
                      py::handle workspace) {
    const Operation operation("queued.compensate_topk");
    const Compensation arrays(operation, gradient, residual, "out_acc", out_acc);
    const GivenNumber limit(operation, "floor", floor);
    const uint64_t n = arrays.gradient.size;
    const SelectionTarget target(operation, indices, values, std::min(k, n), found, workspace,
                                 enqueued_topk_workspace(n, k));
    operation.apart({&limit.array}, {&arrays.out});
    target.check_apart(operation, limit, {&arrays.gradient, &arrays.residual, &arrays.out});
    without_lock([&] {
        visit_real(arrays.gradient, [&](const auto* data) {
            enqueue_compensate_topk(data, arrays.residual.as<const float>(), n, k, limit.given(),
                                    arrays.out.as<float>(), target.out.entries(),
                                    target.room.memory(), target.result());
        });
    });
}

void momentum_topk_(py::handle gradient, py::handle momentum, py::handle residual, double factor,
                    bool nesterov, uint64_t k, py::handle floor, py::handle out_momentum,
                    py::handle out_acc, py::handle indices, py::handle values, py::handle found,
                    py::handle workspace) {
    const Operation operation("queued.momentum_topk");
    const MomentumArrays arrays(operation, gradient, momentum, residual, out_momentum, out_acc);
    const GivenNumber limit(operation, "floor", floor);
    const uint64_t n = arrays.compensation.gradient.size;
    const SelectionTarget target(operation, indices, values, std::min(k, n), found, workspace,
                                 enqueued_topk_workspace(n, k));
    operation.apart({&limit.array}, {&arrays.compensation.out, &arrays.out_momentum});
    arrays.apart_from(operation, {&target.out.indices, &target.out.values});
    arrays.apart_from(operation, {&target.found, &target.room.array});
    target.check_apart(operation, limit, {});
    without_lock([&] {
        visit_real(arrays.compensation.gradient, [&](const auto* data) {
            enqueue_momentum_topk(arrays.of(data, factor, nesterov), n, k, limit.given(),
                                  target.out.entries(), target.room.memory(), target.result());
        });
    });
}

}  // namespace

void bind_queued_selection(py::module_& module) {
    module.def("queued_select_workspace",
               [](uint64_t n) { return room_bytes(enqueued_select_workspace(n)); });
    module.def("queued_select", &select_);
    module.def("queued_compensate_select", &compensate_select_);
    module.def("queued_momentum_select", &momentum_select_);
    module.def("queued_topk_workspace",
               [](uint64_t n, uint64_t k) { return room_bytes(enqueued_topk_workspace(n, k)); });
    module.def("queued_topk", &topk_);
    module.def("queued_compensate_topk", &compensate_topk_);
    module.def("queued_momentum_topk", &momentum_topk_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
