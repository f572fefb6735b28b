#include <pybind11/pybind11.h>

#include <algorithm>

#include "../cuda/sparse.h"
#include "arrays.h"
#include "chunk_arrays.h"
#include "queued_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kUint32;
using python::kUint64;
using python::Operation;
using python::without_lock;
using std::uint64_t;

constexpr uint64_t kResultWords = 2;
static_assert(sizeof(SetResult) == kResultWords * sizeof(uint64_t));

uint64_t merge_workspace_(uint64_t chunk_count, uint64_t total) {
    return room_bytes(merge_workspace(chunk_count, total));
}

void merge_(const py::list& index_chunks, const py::list& value_chunks, py::handle out_indices,
            py::handle out_values, py::handle out_found, py::handle workspace) {
    const Operation operation("queued.merge");
    const ChunkArrays from(operation, index_chunks, value_chunks, out_indices, out_values);
    const Array found = operation.output_of("out_found", out_found, kUint64, kResultWords);
    const Room room(operation, workspace, merge_workspace(from.chunks.size(), from.total()));
    from.apart_from(operation, found);
    from.apart_from(operation, room.array);
    operation.apart({}, {&from.out_indices, &from.out_values, &found, &room.array});
    without_lock([&] {
        enqueue_merge(from.chunks.data(), from.chunks.size(), from.out(), room.memory(),
                      found.as<SetResult>());
    });
}

uint64_t intersect_workspace_(uint64_t count) {
    return room_bytes(intersect_workspace(count));
}

void intersect_(py::handle a, py::handle b, py::handle out, py::handle positions,
                py::handle out_found, py::handle workspace) {
    const Operation operation("queued.intersect");
    const Array left = operation.input("a", a, kUint32);
    const Array right = operation.input("b", b, kUint32);
    const uint64_t most = std::min(left.size, right.size);
    const Array common = operation.output("out", out, kUint32, most);
    const Array places = operation.output("out_positions", positions, kUint32, most);
    const Array found = operation.output_of("out_found", out_found, kUint64, kResultWords);
    const Room room(operation, workspace, intersect_workspace(left.size));
    operation.apart({&left, &right}, {&common, &places, &found, &room.array});
    without_lock([&] {
        enqueue_intersect(left.as<std::uint32_t>(), left.size, right.as<std::uint32_t>(),
                          right.size, {common.as<std::uint32_t>(), places.as<std::uint32_t>()},
                          room.memory(), found.as<SetResult>());
    });
}

}  // namespace

void bind_queued_sets(py::module_& module) {
    module.def("queued_merge_workspace", &merge_workspace_);
    module.def("queued_merge", &merge_);
    module.def("queued_intersect_workspace", &intersect_workspace_);
    module.def("queued_intersect", &intersect_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
