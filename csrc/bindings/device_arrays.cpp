// Arrays in a GPU's memory, and where their operation runs.
#include <pybind11/numpy.h>

#include <string>
#include <utility>

#include "../cuda/queue.h"
#include "dlpack.h"
#include "found.h"

namespace gradwire::python {
namespace {

struct Place {
    bool known;
    int device;
    void* stream;
};
thread_local Place place{};

// What the typestr of an array interface says. It has no code for bfloat16, whose arrays pass for
// plain bytes there; their own dtype knows better.
Types type_of(const std::string& text, py::handle object) {
    if (text == "<V2" || text == "|V2") {
        const py::object dtype = py::getattr(object, "dtype", py::none());
        return type_named(py::str(py::getattr(dtype, "name", py::none()))) & kBfloat16;
    }
    for (const TypeName& each : kTypeNames) {
        const bool order = text.size() == 3 && (text[0] == '<' || text[0] == '|');
        if (order && each.type != kBfloat16 && text[1] == each.name[0] &&
            text[2] - '0' == static_cast<int>(each.bytes)) {
            return each.type;
        }
    }
    return 0;
}

bool is_contiguous(py::handle strides, std::uint64_t size, std::int64_t bytes) {
    return strides.is_none() || size < 2 ||
           strides.cast<py::tuple>()[0].cast<std::int64_t>() == bytes;
}

bool is_from(py::handle object, const char* package) {
    const std::string module = py::str(py::type::handle_of(object).attr("__module__"));
    return module.rfind(package, 0) == 0;
}

int device_number(py::handle object, const void* memory) {
    return py::hasattr(object, "__dlpack_device__")
               ? object.attr("__dlpack_device__")().cast<py::tuple>()[1].cast<int>()
               : device_of(memory);
}

// CuPy's current stream; of others the one that they name, and else the default one.
void* stream_of(py::handle object, const py::dict& interface, int device) {
    const auto pointer = [](const py::object& number) {
        return reinterpret_cast<void*>(number.cast<std::uintptr_t>());
    };
    if (is_from(object, "cupy")) {
        const py::module_ cuda = py::module_::import("cupy.cuda");
        const auto on = cuda.attr("Device")(device);
        on.attr("__enter__")();
        const py::object stream = cuda.attr("get_current_stream")().attr("ptr");
        on.attr("__exit__")(py::none(), py::none(), py::none());
        return pointer(stream);
    }
    if (interface.contains("stream") && !interface["stream"].is_none()) {
        constexpr std::uintptr_t kDefault = 1;  // what interfaces call the default stream
        void* const stream = pointer(interface["stream"]);
        return stream == reinterpret_cast<void*>(kDefault) ? nullptr : stream;
    }
    return nullptr;
}

// An entry of an interface; None if it has none.
py::object entry(const py::dict& interface, const char* key) {
    return interface.contains(key) ? py::reinterpret_borrow<py::object>(interface[key])
                                   : py::none();
}

struct Located {
    Found found;
    bool masked;
    int device;
    void* stream;
};

// Whatever Python raises if an interface is not what it should be.
Located locate(py::handle object) {
    const auto interface = object.attr("__cuda_array_interface__").cast<py::dict>();
    const auto shape = interface["shape"].cast<py::tuple>();
    const auto data = interface["data"].cast<py::tuple>();
    Found found;
    const std::string text = interface["typestr"].cast<py::str>();
    found.type = type_of(text, object);
    const TypeName* const type = find_type(found.type);
    found.type_name = text;
    found.dimensions = static_cast<std::int64_t>(shape.size());
    found.size = 1;
    for (const auto& each : shape) {
        found.size *= each.cast<std::uint64_t>();
    }
    found.data = reinterpret_cast<void*>(data[0].cast<std::uintptr_t>());
    found.writable = !data[1].cast<bool>();
    const std::uint64_t bytes = type == nullptr ? 1 : type->bytes;
    found.plain = reinterpret_cast<std::uintptr_t>(found.data) % bytes == 0 &&
                  (found.dimensions != 1 || is_contiguous(entry(interface, "strides"), found.size,
                                                          static_cast<std::int64_t>(bytes)));
    found.owner = py::reinterpret_borrow<py::object>(object);
    const int device = device_number(object, found.data);
    void* const stream = stream_of(object, interface, device);
    return {std::move(found), !entry(interface, "mask").is_none(), device, stream};
}

Found read_interface(const Operation& operation, const char* name, py::handle object) {
    Located located =
        read_by(operation, name, "its CUDA array interface", [&] { return locate(object); });
    if (located.masked) {
        operation.fail(std::string(name) + " must not be masked: take its data without the mask");
    }
    note_place(operation, name, located.device, located.stream);
    return std::move(located.found);
}

bool offers_cuda_memory(const Operation& operation, const char* name, py::handle object) {
    return py::hasattr(object, "__dlpack_device__") && !py::isinstance<py::array>(object) &&
           read_by(operation, name, "DLPack", [&] {
               return object.attr("__dlpack_device__")().cast<py::tuple>()[0].cast<int>() ==
                      dlpack::kCuda;
           });
}

// Of another library, as an array of one that is here: it knows what to wait for.
py::object from_dlpack(const Operation& operation, const char* name, py::handle object) {
    const auto modules = py::reinterpret_borrow<py::dict>(PyImport_GetModuleDict());
    for (const char* const each : {"torch", "cupy"}) {
        if (modules.contains(each)) {
            return read_by(operation, name, "DLPack", [&]() -> py::object {
                return modules[each].attr("from_dlpack")(object);
            });
        }
    }
    operation.fail(std::string(name) +
                   " cannot be read without torch or CuPy: import one of them first");
}

}  // namespace

void forget_place() noexcept {
    place = {};
}

void note_place(const Operation& operation, const char* name, int device, void* stream) {
    if (!place.known) {
        place = {true, device, stream};
    } else if (place.device != device) {
        operation.fail(std::string(name) + " is on CUDA device " + std::to_string(device) +
                       ", others on " + std::to_string(place.device) +
                       ": all arrays must be on one device");
    } else if (place.stream != stream) {
        operation.fail(std::string(name) + " belongs to another CUDA stream than the others: " +
                       "make the same stream current in both libraries");
    }
}

OnDevice::OnDevice() noexcept : before_(use_queue({place.device, place.stream})), modes_() {
    std::fegetenv(&modes_);
    std::fesetenv(FE_DFL_ENV);
}

OnDevice::~OnDevice() {
    std::fesetenv(&modes_);
    restore_device(before_);
}

void check_device() {
    if (const char* const failure = take_failure(); failure != nullptr) {
        const py::object type = py::module_::import("gradwire.errors").attr("DeviceError");
        PyErr_SetString(type.ptr(), (std::string("CUDA: ") + failure).c_str());
        throw py::error_already_set();
    }
}

bool find_cuda(const Operation& operation, const char* name, py::handle object, Found* found) {
    if (is_torch(object)) {
        return false;
    }
    if (py::hasattr(object, "__cuda_array_interface__")) {
        *found = read_interface(operation, name, object);
        return true;
    }
    if (!offers_cuda_memory(operation, name, object)) {
        return false;
    }
    const py::object own = from_dlpack(operation, name, object);
    *found =
        is_torch(own) ? find_torch(operation, name, own) : read_interface(operation, name, own);
    return true;
}

}  // namespace gradwire::python
