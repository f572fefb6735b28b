#include "gradwire/bits.h"

#include <pybind11/pybind11.h>

#include "arrays.h"
#include "bits_arrays.h"
#include "families.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kUint8;
using python::Operation;
using python::without_lock;
using std::uint64_t;

uint64_t packed_size_(uint64_t n, int bits) {
    return packed_size(n, checked_bits(Operation("packed_size"), bits));
}

uint64_t pack_bits_(py::handle codes, int bits, py::handle out) {
    const Operation operation("pack_bits");
    const unsigned width = checked_bits(operation, bits);
    const Array source = operation.input("codes", codes, kUint8);
    const uint64_t size = packed_size(source.size, width);
    const Array data = operation.output("out", out, kUint8, size);
    operation.apart({&source}, {&data});
    operation.check(without_lock([&] {
        return pack_bits(source.as<std::uint8_t>(), source.size, width, data.as<std::uint8_t>());
    }));
    return size;
}

void unpack_bits_(py::handle data, uint64_t n, int bits, py::handle out) {
    const Operation operation("unpack_bits");
    const unsigned width = checked_bits(operation, bits);
    const Array message = operation.input("data", data, kUint8);
    require_size(operation, message, packed_size(n, width), n);
    const Array codes = operation.output("out", out, kUint8, n);
    operation.apart({&message}, {&codes});
    const Status status = without_lock([&] {
        return unpack_bits(message.as<std::uint8_t>(), message.size, n, width,
                           codes.as<std::uint8_t>());
    });
    operation.check(status, "WireError");
}

uint64_t pack_base3_(py::handle codes, py::handle out) {
    const Operation operation("pack_base3");
    const Array source = operation.input("codes", codes, kUint8);
    const uint64_t size = base3_size(source.size);
    const Array data = operation.output("out", out, kUint8, size);
    operation.apart({&source}, {&data});
    operation.check(without_lock([&] {
        return pack_base3(source.as<std::uint8_t>(), source.size, data.as<std::uint8_t>());
    }));
    return size;
}

void unpack_base3_(py::handle data, uint64_t n, py::handle out) {
    const Operation operation("unpack_base3");
    const Array message = operation.input("data", data, kUint8);
    require_size(operation, message, base3_size(n), n);
    const Array codes = operation.output("out", out, kUint8, n);
    operation.apart({&message}, {&codes});
    const Status status = without_lock([&] {
        return unpack_base3(message.as<std::uint8_t>(), message.size, n, codes.as<std::uint8_t>());
    });
    operation.check(status, "WireError");
}

}  // namespace

void bind_bits(py::module_& module) {
    module.def("packed_size", &packed_size_);
    module.def("pack_bits", &pack_bits_);
    module.def("unpack_bits", &unpack_bits_);
    module.def("base3_size", &base3_size);
    module.def("pack_base3", &pack_base3_);
    module.def("unpack_base3", &unpack_base3_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
