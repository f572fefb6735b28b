#include <pybind11/pybind11.h>

#include <algorithm>

#include "arrays.h"
#include "compensation.h"
#include "families.h"
#include "gradwire/select.h"
#include "selection_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kReal;
using python::kUint8;
using python::Operation;
using python::visit_real;
using python::without_lock;
using std::uint64_t;

// What became of the outputs, in the order of gradwire.kernels.Selected.
py::tuple to_tuple(const Selection& result, py::handle out_indices, py::handle out_values,
                   const EntryArrays& out) {
    return py::make_tuple(python::leading(out_indices, out.indices, result.written),
                          python::leading(out_values, out.values, result.written), result.found,
                          python::widened(result.threshold));
}

py::tuple select_(py::handle x, double threshold, py::handle out_indices, py::handle out_values) {
    const Operation operation("select");
    const Array array = operation.input("x", x, kReal);
    const EntryArrays out(operation, out_indices, out_values, 0);
    operation.apart({&array}, {&out.indices, &out.values});
    Selection result{};
    without_lock([&] {
        visit_real(array, [&](auto* data) {
            select(data, array.size, python::narrowed(threshold), out.entries(), &result);
        });
    });
    return to_tuple(result, out_indices, out_values, out);
}

py::tuple compensate_select_(py::handle gradient, py::handle residual, double threshold,
                             py::handle out_acc, py::handle out_indices, py::handle out_values) {
    const Operation operation("compensate_select");
    const Compensation arrays(operation, gradient, residual, "out_acc", out_acc);
    const EntryArrays out(operation, out_indices, out_values, 0);
    operation.apart({&arrays.gradient, &arrays.residual, &arrays.out}, {&out.indices, &out.values});
    Selection result{};
    without_lock([&] {
        visit_real(arrays.gradient, [&](auto* data) {
            compensate_select(data, arrays.residual.as<float>(), arrays.gradient.size,
                              python::narrowed(threshold), arrays.out.as<float>(), out.entries(),
                              &result);
        });
    });
    return to_tuple(result, out_indices, out_values, out);
}

py::tuple momentum_select_(py::handle gradient, py::handle momentum, py::handle residual,
                           double factor, bool nesterov, double threshold, py::handle out_momentum,
                           py::handle out_acc, py::handle out_indices, py::handle out_values) {
    const Operation operation("momentum_select");
    const MomentumArrays arrays(operation, gradient, momentum, residual, out_momentum, out_acc);
    const EntryArrays out(operation, out_indices, out_values, 0);
    arrays.apart_from(operation, {&out.indices, &out.values});
    Selection result{};
    without_lock([&] {
        visit_real(arrays.compensation.gradient, [&](auto* data) {
            momentum_select(arrays.of(data, factor, nesterov), arrays.compensation.gradient.size,
                            python::narrowed(threshold), out.entries(), &result);
        });
    });
    return to_tuple(result, out_indices, out_values, out);
}

py::tuple topk_(py::handle x, uint64_t k, py::handle out_indices, py::handle out_values,
                py::handle workspace) {
    const Operation operation("topk");
    const Array array = operation.input("x", x, kReal);
    const EntryArrays out(operation, out_indices, out_values, std::min(k, array.size));
    const Array work = operation.workspace(workspace, topk_workspace(array.size, k));
    operation.apart({&array}, {&out.indices, &out.values, &work});
    Selection result{};
    operation.check(without_lock([&] {
        return visit_real(array, [&](auto* data) {
            return topk(data, array.size, k, out.entries(), {work.data, work.size}, &result);
        });
    }));
    return to_tuple(result, out_indices, out_values, out);
}

py::tuple compensate_topk_(py::handle gradient, py::handle residual, uint64_t k, double floor,
                           py::handle out_acc, py::handle out_indices, py::handle out_values,
                           py::handle workspace) {
    const Operation operation("compensate_topk");
    const Compensation arrays(operation, gradient, residual, "out_acc", out_acc);
    const uint64_t size = arrays.gradient.size;
    const EntryArrays out(operation, out_indices, out_values, std::min(k, size));
    const Array work = operation.workspace(workspace, topk_workspace(size, k));
    operation.apart({&arrays.gradient, &arrays.residual, &arrays.out},
                    {&out.indices, &out.values, &work});
    Selection result{};
    operation.check(without_lock([&] {
        return visit_real(arrays.gradient, [&](auto* data) {
            return compensate_topk(data, arrays.residual.as<float>(), size, k,
                                   python::narrowed(floor), arrays.out.as<float>(), out.entries(),
                                   {work.data, work.size}, &result);
        });
    }));
    return to_tuple(result, out_indices, out_values, out);
}

py::tuple momentum_topk_(py::handle gradient, py::handle momentum, py::handle residual,
                         double factor, bool nesterov, uint64_t k, double floor,
                         py::handle out_momentum, py::handle out_acc, py::handle out_indices,
                         py::handle out_values, py::handle workspace) {
    const Operation operation("momentum_topk");
    const MomentumArrays arrays(operation, gradient, momentum, residual, out_momentum, out_acc);
    const uint64_t size = arrays.compensation.gradient.size;
    const EntryArrays out(operation, out_indices, out_values, std::min(k, size));
    const Array work = operation.workspace(workspace, topk_workspace(size, k));
    arrays.apart_from(operation, {&out.indices, &out.values, &work});
    Selection result{};
    operation.check(without_lock([&] {
        return visit_real(arrays.compensation.gradient, [&](auto* data) {
            return momentum_topk(arrays.of(data, factor, nesterov), size, k,
                                 python::narrowed(floor), out.entries(), {work.data, work.size},
                                 &result);
        });
    }));
    return to_tuple(result, out_indices, out_values, out);
}

}  // namespace

void bind_selection(py::module_& module) {
    module.def("select", &select_);
    module.def("compensate_select", &compensate_select_);
    module.def("momentum_select", &momentum_select_);
    module.def("topk_workspace", &topk_workspace);
    module.def("topk", &topk_);
    module.def("compensate_topk", &compensate_topk_);
    module.def("momentum_topk", &momentum_topk_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
