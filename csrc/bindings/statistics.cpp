#include "gradwire/statistics.h"

#include <pybind11/pybind11.h>

#include "arrays.h"
#include "families.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kReal;
using python::kUint64;
using python::kUint8;
using python::Operation;
using python::visit_real;
using python::without_lock;
using std::uint64_t;

bool finite_check_(py::handle x) {
    const Array array = Operation("finite_check").input("x", x, kReal);
    return without_lock([&] {
        return visit_real(array, [&](auto* data) { return finite_check(data, array.size); });
    });
}

double absmax_(py::handle x) {
    const Array array = Operation("absmax").input("x", x, kReal);
    return python::widened(without_lock(
        [&] { return visit_real(array, [&](auto* data) { return absmax(data, array.size); }); }));
}

double norm_(py::handle x, unsigned order) {
    const Array array = Operation("norm").input("x", x, kReal);
    double result = 0.0;
    without_lock(
        [&] { visit_real(array, [&](auto* data) { norm(data, array.size, order, &result); }); });
    return result;
}

void histogram_(py::handle x, unsigned shift, unsigned bits, std::uint32_t prefix, py::handle out) {
    const Operation operation("histogram");
    const Array array = operation.input("x", x, kReal);
    const Array counts = operation.output("out", out, kUint64, uint64_t{1} << bits);
    operation.apart({&array}, {&counts});
    without_lock([&] {
        visit_real(array, [&](auto* data) {
            histogram(data, array.size, shift, bits, prefix, counts.as<uint64_t>());
        });
    });
}

double kth_magnitude_(py::handle x, uint64_t k, py::handle workspace) {
    const Operation operation("kth_magnitude");
    const Array array = operation.input("x", x, kReal);
    const Array work = operation.workspace(workspace, kth_magnitude_workspace(array.size));
    operation.apart({&array}, {&work});
    float result = 0.0F;
    operation.check(without_lock([&] {
        return visit_real(array, [&](auto* data) {
            return kth_magnitude(data, array.size, k, {work.data, work.size}, &result);
        });
    }));
    return python::widened(result);
}

}  // namespace

void bind_statistics(py::module_& module) {
    module.def("finite_check", &finite_check_);
    module.def("absmax", &absmax_);
    module.def("norm", &norm_);
    module.def("histogram", &histogram_);
    module.def("kth_magnitude_workspace", &kth_magnitude_workspace);
    module.def("kth_magnitude", &kth_magnitude_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
