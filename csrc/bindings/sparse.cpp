#include <pybind11/pybind11.h>

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "arrays.h"
#include "chunk_arrays.h"
#include "families.h"
#include "gradwire/merge.h"
#include "gradwire/residual.h"
#include "gradwire/scatter.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kUint32;
using python::Operation;
using python::without_lock;
using std::uint64_t;

constexpr python::Types kEntryTypes = python::kFloating | python::kFloat64;

// As python::visit, with float64.
template <typename Work>
auto visit_entries(const Array& array, Work&& work) {
    if (array.type == python::kFloat64) {
        return work(array.as<double>());
    }
    return python::visit(array, std::forward<Work>(work));
}

void clear_(py::handle x, py::handle indices) {
    const Operation operation("clear");
    const Array array = operation.output("x", x, kEntryTypes);
    if (indices.is_none()) {
        visit_entries(array, [&](auto* data) { without_lock([&] { clear(data, array.size); }); });
        return;
    }
    const Array places = operation.input("indices", indices, kUint32);
    operation.apart({&places}, {&array});
    operation.check(visit_entries(array, [&](auto* data) {
        return without_lock(
            [&] { return clear(data, array.size, places.as<std::uint32_t>(), places.size); });
    }));
}

template <typename Kernel>
void put(const Operation& operation, py::handle out, py::handle indices, py::handle values,
         Kernel kernel) {
    const Array array = operation.output("out", out, kEntryTypes);
    const Array places = operation.input("indices", indices, kUint32);
    const Array entries = operation.input("values", values, kEntryTypes);
    operation.same_type(entries, array);
    operation.same_length(entries, places);
    operation.apart({&places, &entries}, {&array});
    operation.check(visit_entries(array, [&](auto* data) {
        const auto* const added = entries.as<std::remove_pointer_t<decltype(data)>>();
        return without_lock([&] {
            return kernel(data, array.size, places.as<std::uint32_t>(), added, entries.size);
        });
    }));
}

void scatter_(py::handle out, py::handle indices, py::handle values) {
    put(Operation("scatter"), out, indices, values,
        [](auto... arguments) { return scatter(arguments...); });
}

void scatter_add_(py::handle out, py::handle indices, py::handle values) {
    put(Operation("scatter_add"), out, indices, values,
        [](auto... arguments) { return scatter_add(arguments...); });
}

py::tuple merge_(const py::list& index_chunks, const py::list& value_chunks, py::handle out_indices,
                 py::handle out_values) {
    const Operation operation("merge");
    const ChunkArrays from(operation, index_chunks, value_chunks, out_indices, out_values);
    std::vector<uint64_t> cursors(from.chunks.size());
    uint64_t written = 0;
    operation.check(without_lock([&] {
        return merge(from.chunks.data(), from.chunks.size(), cursors.data(), from.out(), &written);
    }));
    return py::make_tuple(python::leading(out_indices, from.out_indices, written),
                          python::leading(out_values, from.out_values, written));
}

py::tuple intersect_(py::handle a, py::handle b, py::handle out, py::handle positions) {
    const Operation operation("intersect");
    const Array left = operation.input("a", a, kUint32);
    const Array right = operation.input("b", b, kUint32);
    const uint64_t most = std::min(left.size, right.size);
    const Array common = operation.output("out", out, kUint32, most);
    const Array places = operation.output("out_positions", positions, kUint32, most);
    operation.apart({&left, &right}, {&common, &places});
    uint64_t written = 0;
    operation.check(without_lock([&] {
        return intersect(left.as<std::uint32_t>(), left.size, right.as<std::uint32_t>(), right.size,
                         {common.as<std::uint32_t>(), places.as<std::uint32_t>()}, &written);
    }));
    return py::make_tuple(python::leading(out, common, written),
                          python::leading(positions, places, written));
}

}  // namespace

void bind_sparse(py::module_& module) {
    module.def("clear", &clear_);
    module.def("scatter", &scatter_);
    module.def("scatter_add", &scatter_add_);
    module.def("merge", &merge_);
    module.def("intersect", &intersect_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
