#include <pybind11/pybind11.h>

#include "../cuda/bits.h"
#include "arrays.h"
#include "bits_arrays.h"
#include "queued_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kUint32;
using python::kUint8;
using python::Operation;
using python::without_lock;
using std::uint64_t;

// What all four are: bytes to bytes, and a status.
struct Bytes {
    Array from, to, status;

    Bytes(const Operation& operation, const Array& input, py::handle out, uint64_t size,
          py::handle out_status)
        : from(input),
          to(operation.output("out", out, kUint8, size)),
          status(operation.output_of("out_status", out_status, kUint32, 1)) {
        operation.apart({&from}, {&to, &status});
    }

    template <typename Kernel, typename... Rest>
    void queue(Kernel kernel, uint64_t n, Rest... rest) const {
        without_lock([&] {
            kernel(from.as<const std::uint8_t>(), n, rest..., to.as<std::uint8_t>(),
                   status.as<std::uint32_t>());
        });
    }
};

void pack_bits_(py::handle codes, int bits, py::handle out, py::handle out_status) {
    const Operation operation("queued.pack_bits");
    const unsigned width = checked_bits(operation, bits);
    const Array source = operation.input("codes", codes, kUint8);
    const uint64_t size = packed_size(source.size, width);
    Bytes(operation, source, out, size, out_status).queue(&enqueue_pack_bits, source.size, width);
}

void unpack_bits_(py::handle data, uint64_t n, int bits, py::handle out, py::handle out_status) {
    const Operation operation("queued.unpack_bits");
    const unsigned width = checked_bits(operation, bits);
    const Array message = operation.input("data", data, kUint8);
    require_size(operation, message, packed_size(n, width), n);
    Bytes(operation, message, out, n, out_status).queue(&enqueue_unpack_bits, n, width);
}

void pack_base3_(py::handle codes, py::handle out, py::handle out_status) {
    const Operation operation("queued.pack_base3");
    const Array source = operation.input("codes", codes, kUint8);
    Bytes(operation, source, out, base3_size(source.size), out_status)
        .queue(&enqueue_pack_base3, source.size);
}

void unpack_base3_(py::handle data, uint64_t n, py::handle out, py::handle out_status) {
    const Operation operation("queued.unpack_base3");
    const Array message = operation.input("data", data, kUint8);
    require_size(operation, message, base3_size(n), n);
    Bytes(operation, message, out, n, out_status).queue(&enqueue_unpack_base3, n);
}

}  // namespace

void bind_queued_bits(py::module_& module) {
    module.def("queued_pack_bits", &pack_bits_);
    module.def("queued_unpack_bits", &unpack_bits_);
    module.def("queued_pack_base3", &pack_base3_);
    module.def("queued_unpack_base3", &unpack_base3_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
