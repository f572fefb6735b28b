#include "gradwire/indices.h"

#include <pybind11/pybind11.h>

#include <utility>

#include "arrays.h"
#include "families.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kUint32;
using python::kUint8;
using python::Operation;
using python::without_lock;
using std::uint64_t;

std::pair<uint64_t, uint64_t> encoded_size_(uint64_t count, uint64_t length, int codec) {
    const EncodedSize size = encoded_size(count, length, static_cast<IndexCodec>(codec));
    return {size.min, size.max};
}

uint64_t encode_indices_(py::handle indices, std::uint32_t begin, uint64_t length, int codec,
                         py::handle out) {
    const Operation operation("encode_indices");
    const Array places = operation.input("indices", indices, kUint32);
    const Array data =
        operation.output("out", out, kUint8, encoded_size_(places.size, length, codec).second);
    operation.apart({&places}, {&data});
    uint64_t written = 0;
    operation.check(without_lock([&] {
        return encode_indices(places.as<std::uint32_t>(), places.size, {begin, length},
                              static_cast<IndexCodec>(codec), data.as<std::uint8_t>(), &written);
    }));
    return written;
}

void decode_indices_(py::handle data, uint64_t count, std::uint32_t begin, uint64_t length,
                     int codec, py::handle out) {
    const Operation operation("decode_indices");
    const Array message = operation.input("data", data, kUint8);
    const Array places = operation.output("out", out, kUint32, count);
    operation.apart({&message}, {&places});
    const Status status = without_lock([&] {
        return decode_indices(message.as<std::uint8_t>(), message.size, count, {begin, length},
                              static_cast<IndexCodec>(codec), places.as<std::uint32_t>());
    });
    operation.check(status, "WireError");
}

}  // namespace

void bind_indices(py::module_& module) {
    module.def("encoded_size", &encoded_size_);
    module.def("encode_indices", &encode_indices_);
    module.def("decode_indices", &decode_indices_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
