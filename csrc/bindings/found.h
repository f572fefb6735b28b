// What the bindings find when they look at a Python object, before it is judged.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <string>

#include "arrays.h"

namespace gradwire::python {

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

// Null for no type or an unknown one.
const TypeName* find_type(Types type) noexcept;
// 0 for a name that is no element type.
Types type_named(const std::string& name) noexcept;

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

#if defined(GRADWIRE_ON_DEVICE)
// Where arrays are, by whom: all arrays of an operation have to agree.
void note_place(const Operation& operation, const char* name, int device, void* stream);
void forget_place() noexcept;

// CUDA arrays of others than torch; false for what is none.
bool find_cuda(const Operation& operation, const char* name, py::handle object, Found* found);

// torch's current stream of a device.
void* torch_stream(int device);
#endif

// True if the object is a torch tensor. torch is never imported here.
bool is_torch(py::handle object);

Found find_torch(const Operation& operation, const char* name, py::handle tensor);

// What an error says, without where it was raised.
std::string first_line(const std::exception& error);

// What read() returns; ConfigError for all that Python raises because an object does not keep to a
// protocol.
template <typename Read>
auto read_by(const Operation& operation, const char* name, const char* protocol, Read&& read) {
    const std::string refusal = std::string(name) + " cannot be read by " + protocol + ": ";
    try {
        return read();
    } catch (const py::error_already_set& error) {
        if (!error.matches(PyExc_Exception) || error.matches(PyExc_MemoryError)) {
            throw;  // an interrupt, say
        }
        operation.fail(refusal + first_line(error));
    } catch (const py::cast_error&) {
        operation.fail(refusal + "what it says has a wrong type");
    }
}

[[noreturn]] void refuse_device(const Operation& operation, const char* name, py::handle object);

}  // namespace gradwire::python
