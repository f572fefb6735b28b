// What the bindings share: arrays arrive as addresses (the Python layer has checked type, size and
// contiguity), work runs without the interpreter lock, and a status becomes a gradwire error.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <utility>

#include "gradwire/status.h"

namespace gradwire::bindings {

using Address = std::uintptr_t;

template <typename T>
T* pointer(Address address) noexcept {
    return reinterpret_cast<T*>(address);
}

template <typename Work>
auto without_lock(Work&& work) {
    const pybind11::gil_scoped_release released;
    return std::forward<Work>(work)();
}

// error: a class of gradwire.errors.
inline void require(Status status, const char* operation, const char* error = "ConfigError") {
    if (status == Status::ok) {
        return;
    }
    const pybind11::object type = pybind11::module_::import("gradwire.errors").attr(error);
    const std::string message = std::string(operation) + ": " + describe(status);
    PyErr_SetString(type.ptr(), message.c_str());
    throw pybind11::error_already_set();
}

void bind_selection(pybind11::module_& module);
void bind_sparse(pybind11::module_& module);
void bind_codecs(pybind11::module_& module);

}  // namespace gradwire::bindings
