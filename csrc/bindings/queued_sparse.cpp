#include <pybind11/pybind11.h>

#include <algorithm>
#include <type_traits>

#include "../cuda/indices.h"
#include "../cuda/sparse.h"
#include "arrays.h"
#include "queued_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kReal;
using python::kUint32;
using python::kUint64;
using python::kUint8;
using python::Operation;
using python::visit_real;
using python::without_lock;
using std::uint64_t;

constexpr uint64_t kOutcomeWords = 2;
static_assert(sizeof(IndexOutcome) == kOutcomeWords * sizeof(uint64_t));

void clear_(py::handle x, py::handle indices, py::handle out_status) {
    const Operation operation("queued.clear");
    const Array array = operation.output("x", x, kReal);
    const Array places = operation.input("indices", indices, kUint32);
    const Array status = operation.output_of("out_status", out_status, kUint32, 1);
    operation.apart({&places}, {&array, &status});
    without_lock([&] {
        visit_real(array, [&](auto* data) {
            enqueue_clear(data, array.size, places.as<const std::uint32_t>(), places.size,
                          status.as<std::uint32_t>());
        });
    });
}

template <typename Kernel>
void put(const Operation& operation, py::handle out, py::handle indices, py::handle values,
         py::handle out_status, Kernel kernel) {
    const Array array = operation.output("out", out, kReal);
    const Array places = operation.input("indices", indices, kUint32);
    const Array entries = operation.input("values", values, kReal);
    const Array status = operation.output_of("out_status", out_status, kUint32, 1);
    operation.same_type(entries, array);
    operation.same_length(entries, places);
    operation.apart({&places, &entries}, {&array, &status});
    without_lock([&] {
        visit_real(array, [&](auto* data) {
            kernel(data, array.size, places.as<const std::uint32_t>(),
                   entries.as<const std::remove_pointer_t<decltype(data)>>(), entries.size,
                   status.as<std::uint32_t>());
        });
    });
}

void scatter_(py::handle out, py::handle indices, py::handle values, py::handle out_status) {
    put(Operation("queued.scatter"), out, indices, values, out_status,
        [](auto... arguments) { enqueue_scatter(arguments...); });
}

void scatter_add_(py::handle out, py::handle indices, py::handle values, py::handle out_status) {
    put(Operation("queued.scatter_add"), out, indices, values, out_status,
        [](auto... arguments) { enqueue_scatter_add(arguments...); });
}

uint64_t encode_indices_workspace_(uint64_t count, int codec) {
    return room_bytes(encode_indices_workspace(count, static_cast<IndexCodec>(codec)));
}

void encode_indices_(py::handle indices, std::uint32_t begin, uint64_t length, int codec_,
                     py::handle out, py::handle out_outcome, py::handle workspace) {
    const Operation operation("queued.encode_indices");
    const auto codec = static_cast<IndexCodec>(codec_);
    const Array places = operation.input("indices", indices, kUint32);
    const Array data =
        operation.output("out", out, kUint8, encoded_size(places.size, length, codec).max);
    const Array outcome = operation.output_of("out_outcome", out_outcome, kUint64, kOutcomeWords);
    const Room room(operation, workspace, encode_indices_workspace(places.size, codec));
    operation.apart({&places}, {&data, &outcome, &room.array});
    without_lock([&] {
        enqueue_encode_indices(places.as<const std::uint32_t>(), places.size, {begin, length},
                               codec, data.as<std::uint8_t>(), room.memory(),
                               outcome.as<IndexOutcome>());
    });
}

uint64_t decode_indices_workspace_(uint64_t count, uint64_t length, int codec) {
    // A count beyond the length is refused later; what it would take is no matter.
    return room_bytes(
        decode_indices_workspace(std::min(count, length), length, static_cast<IndexCodec>(codec)));
}

void decode_indices_(py::handle data, uint64_t count, std::uint32_t begin, uint64_t length,
                     int codec_, py::handle out, py::handle out_outcome, py::handle workspace) {
    const Operation operation("queued.decode_indices");
    const auto codec = static_cast<IndexCodec>(codec_);
    const Array message = operation.input("data", data, kUint8);
    operation.check(possible_message(message.size, count, length, codec), "WireError");
    const Array places = operation.output("out", out, kUint32, count);
    const Array outcome = operation.output_of("out_outcome", out_outcome, kUint64, kOutcomeWords);
    const Room room(operation, workspace, decode_indices_workspace(count, length, codec));
    operation.apart({&message}, {&places, &outcome, &room.array});
    without_lock([&] {
        enqueue_decode_indices(message.as<const std::uint8_t>(), message.size, count,
                               {begin, length}, codec, places.as<std::uint32_t>(), room.memory(),
                               outcome.as<IndexOutcome>());
    });
}

}  // namespace

void bind_queued_sparse(py::module_& module) {
    module.def("queued_clear", &clear_);
    module.def("queued_scatter", &scatter_);
    module.def("queued_scatter_add", &scatter_add_);
    module.def("queued_encode_indices_workspace", &encode_indices_workspace_);
    module.def("queued_encode_indices", &encode_indices_);
    module.def("queued_decode_indices_workspace", &decode_indices_workspace_);
    module.def("queued_decode_indices", &decode_indices_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
