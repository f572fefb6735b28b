#include <pybind11/pybind11.h>

#include "arrays.h"
#include "families.h"
#include "gradwire/histogram.h"
#include "gradwire/select.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kFloat32;
using python::kUint32;
using python::kUint64;
using python::kUint8;
using python::Operation;
using python::without_lock;
using std::uint64_t;

// Output buffers of a selection.
struct EntryArrays {
    Array indices;
    Array values;

    EntryArrays(const Operation& operation, py::handle out_indices, py::handle out_values,
                uint64_t least)
        : indices(operation.output("out_indices", out_indices, kUint32, least)),
          values(operation.output("out_values", out_values, kFloat32, least)) {}

    Entries entries() const noexcept {
        return {indices.as<std::uint32_t>(), values.as<float>(),
                std::min(indices.size, values.size)};
    }
};

// The arrays of acc = residual + gradient.
struct Compensation {
    Array gradient;
    Array residual;
    Array acc;

    // acc may be gradient itself, but must not overlap it in part, nor the residual at all.
    Compensation(const Operation& operation, py::handle gradient_, py::handle residual_,
                 py::handle acc_)
        : gradient(operation.input("gradient", gradient_, kFloat32)),
          residual(operation.input("residual", residual_, kFloat32)),
          acc(operation.output("out_acc", acc_, kFloat32)) {
        operation.same_length(residual, gradient);
        operation.same_length(acc, gradient);
        operation.apart({&residual}, {&acc});
        if (acc.data != gradient.data) {
            operation.apart({&gradient}, {&acc});
        }
    }
};

py::tuple to_tuple(const Selection& result) {
    return py::make_tuple(result.written, result.found, result.threshold);
}

bool finite_check_(py::handle x) {
    const Array array = Operation("finite_check").input("x", x, kFloat32);
    return without_lock([&] { return finite_check(array.as<float>(), array.size); });
}

void histogram_(py::handle x, unsigned shift, unsigned bits, std::uint32_t prefix, py::handle out) {
    const Operation operation("histogram");
    const Array array = operation.input("x", x, kFloat32);
    const Array counts = operation.output("out", out, kUint64, uint64_t{1} << bits);
    operation.apart({&array}, {&counts});
    without_lock([&] {
        histogram(array.as<float>(), array.size, shift, bits, prefix, counts.as<uint64_t>());
    });
}

float kth_magnitude_(py::handle x, uint64_t k, py::handle workspace) {
    const Operation operation("kth_magnitude");
    const Array array = operation.input("x", x, kFloat32);
    const Array work = operation.output("workspace", workspace, kUint8, kth_magnitude_workspace());
    operation.apart({&array}, {&work});
    float result = 0.0F;
    operation.check(without_lock([&] {
        return kth_magnitude(array.as<float>(), array.size, k, work.data, work.size, &result);
    }));
    return result;
}

py::tuple select_(py::handle x, float threshold, py::handle out_indices, py::handle out_values) {
    const Operation operation("select");
    const Array array = operation.input("x", x, kFloat32);
    const EntryArrays out(operation, out_indices, out_values, 0);
    operation.apart({&array}, {&out.indices, &out.values});
    Selection result{};
    without_lock([&] { select(array.as<float>(), array.size, threshold, out.entries(), &result); });
    return to_tuple(result);
}

py::tuple compensate_select_(py::handle gradient, py::handle residual, float threshold,
                             py::handle out_acc, py::handle out_indices, py::handle out_values) {
    const Operation operation("compensate_select");
    const Compensation arrays(operation, gradient, residual, out_acc);
    const EntryArrays out(operation, out_indices, out_values, 0);
    operation.apart({&arrays.gradient, &arrays.residual, &arrays.acc}, {&out.indices, &out.values});
    Selection result{};
    without_lock([&] {
        compensate_select(arrays.gradient.as<float>(), arrays.residual.as<float>(),
                          arrays.gradient.size, threshold, arrays.acc.as<float>(), out.entries(),
                          &result);
    });
    return to_tuple(result);
}

py::tuple topk_(py::handle x, uint64_t k, py::handle out_indices, py::handle out_values,
                py::handle workspace) {
    const Operation operation("topk");
    const Array array = operation.input("x", x, kFloat32);
    const uint64_t most = std::min(k, array.size);
    const EntryArrays out(operation, out_indices, out_values, most);
    const Array work = operation.output("workspace", workspace, kUint8, topk_workspace(most));
    operation.apart({&array}, {&out.indices, &out.values, &work});
    Selection result{};
    operation.check(without_lock([&] {
        return topk(array.as<float>(), array.size, k, out.entries(), work.data, work.size, &result);
    }));
    return to_tuple(result);
}

py::tuple compensate_topk_(py::handle gradient, py::handle residual, uint64_t k, float floor,
                           py::handle out_acc, py::handle out_indices, py::handle out_values,
                           py::handle workspace) {
    const Operation operation("compensate_topk");
    const Compensation arrays(operation, gradient, residual, out_acc);
    const uint64_t most = std::min(k, arrays.gradient.size);
    const EntryArrays out(operation, out_indices, out_values, most);
    const Array work = operation.output("workspace", workspace, kUint8, topk_workspace(most));
    operation.apart({&arrays.gradient, &arrays.residual, &arrays.acc},
                    {&out.indices, &out.values, &work});
    Selection result{};
    operation.check(without_lock([&] {
        return compensate_topk(arrays.gradient.as<float>(), arrays.residual.as<float>(),
                               arrays.gradient.size, k, floor, arrays.acc.as<float>(),
                               out.entries(), work.data, work.size, &result);
    }));
    return to_tuple(result);
}

}  // namespace

void bind_selection(py::module_& module) {
    module.def("finite_check", &finite_check_);
    module.def("histogram", &histogram_);
    module.def("kth_magnitude_workspace", &kth_magnitude_workspace);
    module.def("kth_magnitude", &kth_magnitude_);
    module.def("select", &select_);
    module.def("compensate_select", &compensate_select_);
    module.def("topk_workspace", &topk_workspace);
    module.def("topk", &topk_);
    module.def("compensate_topk", &compensate_topk_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
