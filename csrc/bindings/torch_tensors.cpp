#include <array>
#include <atomic>
#include <string>
#include <utility>

#include "dlpack.h"
#include "found.h"

namespace gradwire::python {
namespace {

#if defined(GRADWIRE_ON_DEVICE) && !defined(GRADWIRE_EMULATED)
constexpr std::int32_t kDevice = dlpack::kCuda;
constexpr const char* kIsHere = "is_cuda";
#else
constexpr std::int32_t kDevice = dlpack::kCpu;
constexpr const char* kIsHere = "is_cpu";
#endif

struct Torch {
    py::object tensor;
    py::object strided;
    const dlpack::ExchangeTable* exchange;  // null if it has none that is known here
    std::array<std::pair<py::object, Types>, kTypeNames.size()> types;
    // Names of attributes, made once.
    py::str is_here{kIsHere}, dtype{"dtype"}, layout{"layout"}, dim{"dim"}, is_neg{"is_neg"};
    py::str data_ptr{"data_ptr"}, is_contiguous{"is_contiguous"}, numel{"numel"};
};

const dlpack::ExchangeTable* exchange_table(py::handle type) {
    const py::object capsule = py::getattr(type, "__dlpack_c_exchange_api__", py::none());
    if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) {
        return nullptr;
    }
    const void* const pointer = PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api");
    auto* table = static_cast<const dlpack::ExchangeTable*>(pointer);
    while (table != nullptr && table->version.major != dlpack::kMajor) {
        table = table->previous;
    }
    return table == nullptr || table->borrow == nullptr ? nullptr : table;
}

// Null until somebody has imported torch.
const Torch* torch() {
    static std::atomic<const Torch*> found_before{nullptr};
    const Torch* known = found_before.load(std::memory_order_acquire);
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
        auto* const found = new Torch{module.attr("Tensor"),
                                      module.attr("strided"),
                                      exchange_table(module.attr("Tensor")),
                                      {}};
        for (std::size_t i = 0; i < kTypeNames.size(); ++i) {
            const char* const name = kTypeNames[i].name;
            // Old versions have no uint32.
            found->types[i] = {py::getattr(module, name, py::none()), kTypeNames[i].type};
        }
        // Threads that come here at the same time, without a lock of the interpreter's, each keep
        // one.
        found_before.store(found, std::memory_order_release);
        known = found;
    }
    return known;
}

PyObject* checked(PyObject* object) {
    if (object == nullptr) {
        throw py::error_already_set();
    }
    return object;
}

py::object get(py::handle object, const py::str& name) {
    return py::reinterpret_steal<py::object>(checked(PyObject_GetAttr(object.ptr(), name.ptr())));
}

py::object call(py::handle object, const py::str& method) {
    return py::reinterpret_steal<py::object>(
        checked(PyObject_CallMethodNoArgs(object.ptr(), method.ptr())));
}

// Asks the tensor's attributes one by one, to say what is wrong with it.
Found examine(const Operation& operation, const char* name, py::handle tensor) {
    const Torch& names = *torch();
    Found found;
    if (!get(tensor, names.is_here).is(py::handle(Py_True))) {
        refuse_device(operation, name, tensor);
    }
#if defined(GRADWIRE_ON_DEVICE) && !defined(GRADWIRE_EMULATED)
    const int device = tensor.attr("get_device")().cast<int>();
    note_place(operation, name, device, torch_stream(device));
#endif
    const py::object dtype = get(tensor, names.dtype);
    for (const auto& [known, type] : names.types) {
        if (dtype.is(known)) {
            found.type = type;
            break;
        }
    }
    if (found.type == 0) {
        found.type_name = std::string(py::str(dtype)).substr(sizeof "torch." - 1);
    }
    found.dimensions = call(tensor, names.dim).cast<std::int64_t>();
    if (const py::object layout = get(tensor, names.layout); !layout.is(names.strided)) {
        operation.fail(std::string(name) + " must be dense, got " + std::string(py::str(layout)));
    }
    if (!call(tensor, names.is_neg).is(py::handle(Py_False))) {
        operation.fail(std::string(name) +
                       " must hold its own values: call its resolve_neg() first");
    }
    found.data = reinterpret_cast<void*>(call(tensor, names.data_ptr).cast<std::uintptr_t>());
    const TypeName* const type = find_type(found.type);
    const bool aligned =
        type == nullptr || reinterpret_cast<std::uintptr_t>(found.data) % type->bytes == 0;
    found.plain = aligned && call(tensor, names.is_contiguous).is(py::handle(Py_True));
    found.writable = true;
    found.size = call(tensor, names.numel).cast<std::uint64_t>();
    found.owner = py::reinterpret_borrow<py::object>(tensor);
    return found;
}

Types type_of(const dlpack::Tensor& tensor) noexcept {
    constexpr std::array<char, 5> kLetters{'i', 'u', 'f', ' ', 'b'};  // of the names of types
    if (tensor.type_lanes != 1 || tensor.type_code >= kLetters.size()) {
        return 0;
    }
    for (const TypeName& each : kTypeNames) {
        if (each.name[0] == kLetters[tensor.type_code] && 8 * each.bytes == tensor.type_bits) {
            return each.type;
        }
    }
    return 0;
}

// The usual case in one call. False if there is anything to say about the tensor.
bool find_quickly([[maybe_unused]] const Operation& operation, [[maybe_unused]] const char* name,
                  py::handle tensor, Found* found) {
    const Torch& known = *torch();
    dlpack::Tensor memory{};
    if (known.exchange == nullptr) {
        return false;
    }
    if (known.exchange->borrow(tensor.ptr(), &memory) != 0) {
        PyErr_Clear();
        return false;
    }
    found->type = type_of(memory);
    const TypeName* const type = find_type(found->type);
    if (memory.device_type != kDevice || memory.dimensions != 1 || type == nullptr) {
        return false;
    }
#if defined(GRADWIRE_ON_DEVICE) && !defined(GRADWIRE_EMULATED)
    note_place(operation, name, memory.device_id, torch_stream(memory.device_id));
#endif
    found->size = static_cast<std::uint64_t>(memory.shape[0]);
    found->data = static_cast<char*>(memory.data) + memory.byte_offset;
    found->dimensions = 1;
    found->plain = reinterpret_cast<std::uintptr_t>(found->data) % type->bytes == 0 &&
                   (found->size < 2 || memory.strides == nullptr || memory.strides[0] == 1);
    found->writable = true;
    found->owner = py::reinterpret_borrow<py::object>(tensor);
    // Only parts of complex tensors can be lazily negated, and these are floating.
    const bool floating = (found->type & kReal) != 0;
    return found->plain && (!floating || call(tensor, known.is_neg).is(py::handle(Py_False)));
}

}  // namespace

#if defined(GRADWIRE_ON_DEVICE)
void* torch_stream(int device) {
    const py::object module = py::module_::import("torch");
    // What torch's own code generator calls; a tenth of the time of current_stream().
    if (const auto raw = py::getattr(module.attr("_C"), "_cuda_getCurrentRawStream", py::none());
        !raw.is_none()) {
        return reinterpret_cast<void*>(raw(device).cast<std::uintptr_t>());
    }
    const py::object stream = module.attr("cuda").attr("current_stream")(device);
    return reinterpret_cast<void*>(stream.attr("cuda_stream").cast<std::uintptr_t>());
}
#endif

bool is_torch(py::handle object) {
    const Torch* const known = torch();
    return known != nullptr &&
           (Py_TYPE(object.ptr()) == reinterpret_cast<PyTypeObject*>(known->tensor.ptr()) ||
            py::isinstance(object, known->tensor));
}

Found find_torch(const Operation& operation, const char* name, py::handle tensor) {
    Found found;
    try {
        return find_quickly(operation, name, tensor, &found) ? found
                                                             : examine(operation, name, tensor);
    } catch (py::error_already_set& error) {
        if (error.matches(PyExc_RuntimeError) || error.matches(PyExc_NotImplementedError)) {
            // A wrapper around other tensors, as of torch.func.
            operation.fail(std::string(name) + " has no memory of its own: " + first_line(error));
        }
        throw;
    }
}

}  // namespace gradwire::python
