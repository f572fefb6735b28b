#include "arrays.h"

#include <pybind11/numpy.h>

#include <exception>
#include <string>

#include "dlpack.h"
#include "found.h"

namespace gradwire::python {

const TypeName* find_type(Types type) noexcept {
    for (const TypeName& each : kTypeNames) {
        if (each.type == type) {
            return &each;
        }
    }
    return nullptr;
}

Types type_named(const std::string& name) noexcept {
    for (const TypeName& each : kTypeNames) {
        if (name == each.name) {
            return each.type;
        }
    }
    return 0;
}

[[noreturn]] void refuse_device(const Operation& operation, const char* name, py::handle object) {
    const py::object device = py::getattr(object, "device", py::str("another device"));
    const std::string where = std::string(name) + " is on " + std::string(py::str(device));
#if defined(GRADWIRE_ON_DEVICE)
    operation.fail(where + ": all arrays must be on one CUDA device");
#else
    operation.fail(where +
                   ": the arrays of a call must all be on the CPU or, where gradwire has CUDA "
                   "kernels, all on one GPU");
#endif
}

std::string first_line(const std::exception& error) {
    const std::string what = error.what();
    return what.substr(0, what.find('\n'));
}

namespace {

constexpr std::uint64_t kMaxSize = 0xFFFFFFFFU;  // indices have 32 bits

std::string names_of(Types types) {
    std::string names;
    for (const TypeName& each : kTypeNames) {
        if ((types & each.type) != 0) {
            names += (names.empty() ? "" : " or ") + std::string(each.name);
        }
    }
    return names;
}

// ---- NumPy ----

// Kinds and sizes of NumPy's own types; numbers of integers depend on the platform.
Types numpy_type(const py::dtype& dtype) {
    constexpr int kOwnTypes = 24;
    const char order = dtype.byteorder();
    if (order != '=' && order != '|') {
        return 0;
    }
    if (dtype.num() >= kOwnTypes) {  // bfloat16 of ml_dtypes, perhaps
        return type_named(py::str(dtype.attr("name")));
    }
    const auto bytes = static_cast<std::uint64_t>(dtype.itemsize());
    for (const TypeName& each : kTypeNames) {
        const bool own = each.type != kBfloat16;
        if (own && each.name[0] == dtype.kind() && each.bytes == bytes) {
            return each.type;
        }
    }
    return 0;
}

Found find_numpy(const py::array& array) {
    Found found;
    const py::dtype dtype = array.dtype();
    found.type = numpy_type(dtype);
    if (found.type == 0) {
        const bool native = dtype.byteorder() == '=' || dtype.byteorder() == '|';
        found.type_name = py::str(dtype.attr(native ? "name" : "str"));
    }
    constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    constexpr int kContiguous = py::array::c_style;
    found.dimensions = array.ndim();
    found.plain = (array.flags() & kContiguous) != 0 && (array.flags() & kAligned) != 0;
    found.writable = array.writeable();
    found.data = const_cast<void*>(array.data());
    found.size = static_cast<std::uint64_t>(array.size());
    found.owner = array;
    return found;
}

py::array from_dlpack(const Operation& operation, const char* name, py::handle object) {
    const py::object array = read_by(operation, name, "DLPack", [&]() -> py::object {
        const py::tuple device = object.attr("__dlpack_device__")();
        return device[0].cast<int>() == dlpack::kCpu
                   ? py::module_::import("numpy").attr("from_dlpack")(object)
                   : py::none();
    });
    if (array.is_none()) {
        refuse_device(operation, name, object);
    }
    return array;
}

Found find(const Operation& operation, const char* name, py::handle object) {
#if defined(GRADWIRE_ON_DEVICE)
    if (Found found; find_cuda(operation, name, object, &found)) {
        return found;
    }
#if !defined(GRADWIRE_EMULATED)
    if (py::isinstance<py::array>(object)) {
        refuse_device(operation, name, object);
    }
#endif
#endif
    if (py::isinstance<py::array>(object)) {
        if (Py_TYPE(object.ptr()) != py::detail::npy_api::get().PyArray_Type_ &&
            py::hasattr(object, "_mask")) {
            operation.fail(std::string(name) + " must not be masked: call its filled() first");
        }
        return find_numpy(py::reinterpret_borrow<py::array>(object));
    }
    if (is_torch(object)) {
        return find_torch(operation, name, object);
    }
    if (!py::hasattr(object, "__dlpack__")) {
        operation.fail(std::string(name) +
                       " must be a NumPy array, a torch tensor or another array that offers "
                       "DLPack, got " +
                       Py_TYPE(object.ptr())->tp_name);
    }
    return find_numpy(from_dlpack(operation, name, object));
}

Array read(const Operation& operation, const char* name, py::handle object, Types types,
           bool output, std::uint64_t most = kMaxSize) {
    Found found = find(operation, name, object);
    const TypeName* const type = find_type(found.type);
    const std::string who = name;
    if ((found.type & types) == 0) {
        operation.fail(who + " must have dtype " + names_of(types) + ", got " +
                       (type == nullptr ? found.type_name : type->name) + ": convert it first");
    }
    if (found.dimensions != 1) {
        operation.fail(who + " must have one dimension, got " + std::to_string(found.dimensions) +
                       ": flatten it first");
    }
    if (found.data == nullptr && found.size != 0) {
        operation.fail(who + " has no memory of its own: make it a plain array first");
    }
    if (!found.plain) {
        operation.fail(who + " must be contiguous and aligned: make a copy of it first");
    }
    if (found.size > most) {
        operation.fail(who + " must have fewer than 2**32 elements, got " +
                       std::to_string(found.size) + ": split it");
    }
    if (output && !found.writable) {
        operation.fail(who + " must be writable, got a read-only array");
    }
    return {name,       found.data,
            found.size, found.size * type->bytes,
            found.type, std::move(found.owner),
            found.size};
}

bool overlap(const Array& first, const Array& second) noexcept {
    const auto* const a = static_cast<const char*>(first.data);
    const auto* const b = static_cast<const char*>(second.data);
    return first.bytes != 0 && second.bytes != 0 && a < b + second.bytes && b < a + first.bytes;
}

}  // namespace

Array Operation::input(const char* name, py::handle object, Types types) const {
    return read(*this, name, object, types, false);
}

Array Operation::output(const char* name, py::handle object, Types types,
                        std::uint64_t least) const {
    Array array = read(*this, name, object, types, true);
    at_least(array, least);
    return array;
}

Array Operation::output_of(const char* name, py::handle object, Types types,
                           std::uint64_t size) const {
    Array array = output(name, object, types, size);
    array.bytes = size * find_type(array.type)->bytes;
    array.size = size;
    return array;
}

Array Operation::workspace(py::handle object, std::uint64_t bytes) const {
    constexpr std::uint64_t kAny = ~std::uint64_t{0};  // no index counts these bytes
    Array array = read(*this, "workspace", object, kUint8, true, kAny);
    at_least(array, bytes);
    array.bytes = array.size = bytes;
    return array;
}

py::object leading(py::handle object, const Array& array, std::uint64_t count) {
    if (array.capacity == count) {
        return py::reinterpret_borrow<py::object>(object);
    }
    return array.owner[py::slice(0, static_cast<py::ssize_t>(count), 1)];
}

Operation::Operation(const char* name) noexcept : name_(name) {
#if defined(GRADWIRE_ON_DEVICE)
    forget_place();
#endif
}

void Operation::at_least(const Array& array, std::uint64_t least) const {
    if (array.size < least) {
        fail(std::string(array.name) + " must have at least " + std::to_string(least) +
             " elements, got " + std::to_string(array.size));
    }
}

void Operation::same_length(const Array& array, const Array& like) const {
    if (array.size != like.size) {
        fail(std::string(array.name) + " must have as many elements as " + like.name + " (" +
             std::to_string(like.size) + "), got " + std::to_string(array.size));
    }
}

void Operation::same_type(const Array& array, const Array& like) const {
    if (array.type != like.type) {
        fail(std::string(array.name) + " must have the dtype of " + like.name + ", " +
             find_type(like.type)->name + ", got " + find_type(array.type)->name);
    }
}

void Operation::apart(std::initializer_list<const Array*> inputs,
                      std::initializer_list<const Array*> outputs) const {
    for (const Array* const* output = outputs.begin(); output != outputs.end(); ++output) {
        const auto refuse_overlap = [&](const Array* other) {
            if (overlap(*other, **output)) {
                fail(std::string(other->name) + " and " + (*output)->name + " must not overlap");
            }
        };
        for (const Array* input : inputs) {
            refuse_overlap(input);
        }
        for (const Array* const* other = outputs.begin(); other != output; ++other) {
            refuse_overlap(*other);
        }
    }
}

void Operation::check(Status status, const char* error) const {
    if (status != Status::ok) {
        fail(describe(status), error);
    }
}

void Operation::fail(const std::string& message, const char* error) const {
    const py::object type = py::module_::import("gradwire.errors").attr(error);
    PyErr_SetString(type.ptr(), (std::string(name_) + ": " + message).c_str());
    throw py::error_already_set();
}

}  // namespace gradwire::python
