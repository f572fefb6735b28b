#include "gradwire/arithmetic.h"

#include <pybind11/pybind11.h>

#include <type_traits>

#include "arrays.h"
#include "families.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kFloat32;
using python::kFloating;
using python::Operation;
using python::visit;
using python::without_lock;

// `out` may be the input itself.
void same_or_apart(const Operation& operation, const Array& input, const Array& out) {
    if (input.data != out.data || input.type != out.type) {
        operation.apart({&input}, {&out});
    }
}

// work(const T*, Out*) with Out float, or T as x is.
template <typename Work>
void visit_both(const Operation& operation, const Array& x, const Array& out, Work&& work) {
    if (out.type != kFloat32) {
        operation.same_type(out, x);
    }
    visit(x, [&](auto* from) {
        using T = std::remove_pointer_t<decltype(from)>;
        if (out.type == kFloat32) {
            work(static_cast<const T*>(from), out.as<float>());
        } else {
            work(static_cast<const T*>(from), out.as<T>());
        }
    });
}

void add_(py::handle a, py::handle b, py::handle out) {
    const Operation operation("add");
    const Array first = operation.input("a", a, kFloating);
    const Array second = operation.input("b", b, kFloating);
    const Array sum = operation.output("out", out, kFloating);
    operation.same_length(second, first);
    operation.same_length(sum, first);
    same_or_apart(operation, first, sum);
    same_or_apart(operation, second, sum);
    if (first.type == kFloat32 && sum.type == kFloat32) {
        visit(second, [&](auto* addend) {
            const auto* const added = addend;
            without_lock([&] { add(first.as<const float>(), added, first.size, sum.as<float>()); });
        });
        return;
    }
    operation.same_type(second, first);
    visit_both(operation, first, sum, [&](auto* from, auto* to) {
        const auto* const added = second.as<std::remove_pointer_t<decltype(from)>>();
        without_lock([&] { add(from, added, first.size, to); });
    });
}

template <typename Kernel>
void multiply(const Operation& operation, py::handle x, py::handle out, Kernel kernel) {
    const Array array = operation.input("x", x, kFloating);
    const Array result = operation.output("out", out, kFloating);
    operation.same_length(result, array);
    same_or_apart(operation, array, result);
    visit_both(operation, array, result,
               [&](auto* from, auto* to) { without_lock([&] { kernel(from, array.size, to); }); });
}

void scale_(py::handle x, double factor, py::handle out) {
    multiply(Operation("scale"), x, out,
             [=](auto* from, auto n, auto* to) { scale(from, factor, n, to); });
}

void scale_add_(py::handle x, double factor, py::handle out) {
    multiply(Operation("scale_add"), x, out,
             [=](auto* from, auto n, auto* to) { scale_add(from, factor, n, to); });
}

}  // namespace

void bind_arithmetic(py::module_& module) {
    module.def("add", &add_);
    module.def("scale", &scale_);
    module.def("scale_add", &scale_add_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
