// What the bindings of queued operations share: results, numbers and workspace in device memory.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <initializer_list>

#include "../cuda/select.h"
#include "arrays.h"
#include "coding.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// The bindings of each file.
void bind_queued_bits(pybind11::module_& module);
void bind_queued_coding(pybind11::module_& module);
void bind_queued_random(pybind11::module_& module);
void bind_queued_selection(pybind11::module_& module);
void bind_queued_sets(pybind11::module_& module);
void bind_queued_sparse(pybind11::module_& module);
void bind_queued_statistics(pybind11::module_& module);

// Those who give memory need not align it.
constexpr std::uint64_t kRoomAlignment = 64;

constexpr std::uint64_t room_bytes(std::uint64_t bytes) noexcept {
    return bytes == 0 ? 0 : bytes + kRoomAlignment - 1;
}

// Workspace of room_bytes(bytes).
struct Room {
    python::Array array;

    Room(const python::Operation& operation, py::handle workspace, std::uint64_t bytes)
        : array(operation.workspace(workspace, room_bytes(bytes))) {}

    void* memory() const noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(array.data);
        return array.as<char>() + (kRoomAlignment - address % kRoomAlignment) % kRoomAlignment;
    }
};

inline python::Array one_element(const python::Operation& operation, const char* name,
                                 py::handle object, python::Types type) {
    python::Array array = operation.input(name, object, type);
    exact_length(operation, array, 1);
    return array;
}

// A float, or a float32 that lies in memory when its turn comes.
struct GivenNumber {
    python::Array array{};  // of no bytes if there is none
    float value = 0.0F;

    GivenNumber(const python::Operation& operation, const char* name, py::handle object) {
        if (PyFloat_Check(object.ptr()) != 0) {
            value = python::narrowed(PyFloat_AS_DOUBLE(object.ptr()));
        } else {
            array = one_element(operation, name, object, python::kFloat32);
        }
    }

    Given given() const noexcept { return {array.as<const float>(), value}; }
};

// The step of a random stream in memory, or the stream's own for None.
struct StepArray {
    python::Array array{};

    StepArray(const python::Operation& operation, py::handle step) {
        if (!step.is_none()) {
            array = one_element(operation, "step", step, python::kUint32);
        }
    }

    const std::uint32_t* step() const noexcept { return array.as<const std::uint32_t>(); }
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
