#include "arrays.h"

#include <pybind11/numpy.h>

#include <array>
#include <string>

namespace gradwire::python {
namespace {

constexpr std::uint64_t kMaxSize = 0xFFFFFFFFU;  // indices have 32 bits

struct TypeName {
    Types type;
    const char* name;
    std::uint64_t bytes;
};

constexpr std::array<TypeName, 9> kTypeNames{{{kFloat32, "float32", 4},
                                              {kFloat16, "float16", 2},
                                              {kBfloat16, "bfloat16", 2},
                                              {kFloat64, "float64", 8},
                                              {kUint8, "uint8", 1},
                                              {kUint16, "uint16", 2},
                                              {kUint32, "uint32", 4},
                                              {kUint64, "uint64", 8},
                                              {kInt32, "int32", 4}}};

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

std::string names_of(Types types) {
    std::string names;
    for (const TypeName& each : kTypeNames) {
        if ((types & each.type) != 0) {
            names += (names.empty() ? "" : " or ") + std::string(each.name);
        }
    }
    return names;
}

// What was found before it is judged.
struct Found {
    Types type = 0;  // 0: none that any operation takes
    std::string type_name;
    std::int64_t dimensions = 0;
    bool plain = false;  // contiguous and aligned
    bool writable = false;
    void* data = nullptr;
    std::uint64_t size = 0;
    py::object owner;
};

// ---- NumPy ----

Types numpy_type(const py::dtype& dtype) {
    constexpr int kFloat = 11;
    constexpr int kHalf = 23;
    constexpr int kDouble = 12;
    constexpr int kUnsignedByte = 2;
    constexpr int kUnsignedShort = 4;
    const char order = dtype.byteorder();
    if (order != '=' && order != '|') {
        return 0;
    }
    if (dtype.kind() == 'u' && dtype.itemsize() == sizeof(std::uint32_t)) {
        return kUint32;  // indices: nearly every operation has some, and asking for names is slow
    }
    switch (dtype.num()) {
        case kFloat:
            return kFloat32;
        case kHalf:
            return kFloat16;
        case kDouble:
            return kFloat64;
        case kUnsignedByte:
            return kUint8;
        case kUnsignedShort:
            return kUint16;
        default:  // integers whose number depends on the platform; bfloat16 of ml_dtypes
            return type_named(py::str(dtype.attr("name")));
    }
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

// ---- torch, which is never imported here ----

struct Torch {
    py::object tensor;
    py::object strided;
    std::array<std::pair<py::object, Types>, kTypeNames.size()> types;
};

// Null until somebody has imported torch.
const Torch* torch() {
    static const Torch* known = nullptr;
    if (known == nullptr) {
        const auto modules = py::reinterpret_borrow<py::dict>(PyImport_GetModuleDict());
        if (!modules.contains("torch")) {
            return nullptr;
        }
        const py::object module = modules["torch"];
        // Another thread may still be importing it.
        if (!py::hasattr(module, "Tensor") || !py::hasattr(module, "strided")) {
            return nullptr;
        }
        auto* const found = new Torch{module.attr("Tensor"), module.attr("strided"), {}};
        for (std::size_t i = 0; i < kTypeNames.size(); ++i) {
            const char* const name = kTypeNames[i].name;
            // Old versions have no uint32.
            found->types[i] = {py::getattr(module, name, py::none()), kTypeNames[i].type};
        }
        known = found;
    }
    return known;
}

py::object call(py::handle object, const char* method) {
    return object.attr(method)();
}

[[noreturn]] void refuse_device(const Operation& operation, const char* name, py::handle object) {
    operation.fail(std::string(name) + " is on " + std::string(py::str(object.attr("device"))) +
                       ": the CUDA kernels are not in this build; move it to the CPU first",
                   "MissingDependencyError");
}

Found find_torch(const Operation& operation, const char* name, py::handle tensor) {
    Found found;
    if (!tensor.attr("is_cpu").cast<bool>()) {
        refuse_device(operation, name, tensor);
    }
    const py::object dtype = tensor.attr("dtype");
    for (const auto& [known, type] : torch()->types) {
        if (dtype.is(known)) {
            found.type = type;
        }
    }
    if (found.type == 0) {
        found.type_name = std::string(py::str(dtype)).substr(sizeof "torch." - 1);
    }
    found.dimensions = call(tensor, "dim").cast<std::int64_t>();
    if (const py::object layout = tensor.attr("layout"); !layout.is(torch()->strided)) {
        operation.fail(std::string(name) + " must be dense, got " + std::string(py::str(layout)));
    }
    if (call(tensor, "is_neg").cast<bool>()) {
        operation.fail(std::string(name) +
                       " must hold its own values: call its resolve_neg() first");
    }
    found.data = reinterpret_cast<void*>(call(tensor, "data_ptr").cast<std::uintptr_t>());
    const TypeName* const type = find_type(found.type);
    const bool aligned =
        type == nullptr || reinterpret_cast<std::uintptr_t>(found.data) % type->bytes == 0;
    found.plain = aligned && call(tensor, "is_contiguous").cast<bool>();
    found.writable = true;
    found.size = call(tensor, "numel").cast<std::uint64_t>();
    found.owner = py::reinterpret_borrow<py::object>(tensor);
    return found;
}

Found find(const Operation& operation, const char* name, py::handle object) {
    if (py::isinstance<py::array>(object)) {
        return find_numpy(py::reinterpret_borrow<py::array>(object));
    }
    if (torch() != nullptr && py::isinstance(object, torch()->tensor)) {
        return find_torch(operation, name, object);
    }
    if (!py::hasattr(object, "__dlpack__")) {
        operation.fail(std::string(name) +
                       " must be a NumPy array, a torch tensor or another array that offers "
                       "DLPack, got " +
                       Py_TYPE(object.ptr())->tp_name);
    }
    constexpr int kDlpackCpu = 1;
    const py::tuple device = call(object, "__dlpack_device__");
    if (device[0].cast<int>() != kDlpackCpu) {
        refuse_device(operation, name, object);
    }
    return find_numpy(py::module_::import("numpy").attr("from_dlpack")(object));
}

Array read(const Operation& operation, const char* name, py::handle object, Types types,
           bool output) {
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
    if (!found.plain) {
        operation.fail(who + " must be contiguous and aligned: make a copy of it first");
    }
    if (found.size > kMaxSize) {
        operation.fail(who + " must have fewer than 2**32 elements, got " +
                       std::to_string(found.size) + ": split it");
    }
    if (output && !found.writable) {
        operation.fail(who + " must be writable, got a read-only array");
    }
    return {
        name, found.data, found.size, found.size * type->bytes, found.type, std::move(found.owner)};
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
    if (array.size < least) {
        fail(std::string(name) + " must have at least " + std::to_string(least) +
             " elements, got " + std::to_string(array.size));
    }
    return array;
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
