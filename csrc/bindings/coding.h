// What the bindings of the quantisers share: scalar arguments, random streams, lengths.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "arrays.h"
#include "gradwire/quantize.h"
#include "gradwire/random_bits.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

namespace py = pybind11;

// What a message says of a wrong value, which may refuse to be written.
inline std::string shown(py::handle object) {
    constexpr std::size_t kLongest = 80;
    try {
        const auto text = std::string(py::repr(object));
        return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
    } catch (const py::error_already_set&) {
        return std::string("something of type ") + Py_TYPE(object.ptr())->tp_name;
    }
}

// ConfigError unless `object` is an integer in [least, most].
inline std::uint64_t integer(const python::Operation& operation, const char* name,
                             py::handle object, std::uint64_t least, std::uint64_t most) {
    const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(object.ptr()));
    if (!number) {
        PyErr_Clear();
        operation.fail(std::string(name) + " must be an integer, got " + shown(object));
    }
    const std::uint64_t value = PyLong_AsUnsignedLongLong(number.ptr());
    const bool failed = PyErr_Occurred() != nullptr;
    PyErr_Clear();
    if (failed || value < least || value > most) {
        operation.fail(std::string(name) + " must be in [" + std::to_string(least) + ", " +
                       std::to_string(most) + "], got " + shown(number));
    }
    return value;
}

// Blocks are multiples of 16 elements up to 65536; 0 is one block of everything.
inline std::uint64_t block_length(const python::Operation& operation, py::handle object) {
    const std::uint64_t block = integer(operation, "block", object, 0, 65536);
    if (block % 16 != 0) {
        operation.fail("block must be a multiple of 16, got " + std::to_string(block));
    }
    return block;
}

// A gradwire.kernels.RandomStream: (seed, key, step, rank, phase, first).
inline RandomStream random_stream(const python::Operation& operation, py::handle object) {
    if (!py::isinstance<py::tuple>(object) || py::len(object) != 6) {
        operation.fail("random must be a RandomStream, got " + shown(object));
    }
    const auto fields = py::reinterpret_borrow<py::tuple>(object);
    constexpr std::uint64_t kWord = 0xFFFFFFFFU;
    const auto word = [&](std::size_t place, const char* name, std::uint64_t most) {
        return static_cast<std::uint32_t>(integer(operation, name, fields[place], 0, most));
    };
    const std::uint32_t rank = word(3, "random.rank", kWord >> 1);
    return {word(0, "random.seed", kWord), word(1, "random.key", kWord),
            word(2, "random.step", kWord), rank | word(4, "random.phase", 1) << 31,
            integer(operation, "random.first", fields[5], 0, ~std::uint64_t{0} >> 1)};
}

// ConfigError unless `array` has exactly `size` elements.
inline void exact_length(const python::Operation& operation, const python::Array& array,
                         std::uint64_t size) {
    if (array.size != size) {
        operation.fail(std::string(array.name) + " must have " + std::to_string(size) +
                       " elements, got " + std::to_string(array.size));
    }
}

// Scales, which are an input if they are given.
inline python::Array scales_array(const python::Operation& operation, py::handle object, bool given,
                                  std::uint64_t size) {
    if (!given) {
        return operation.output_of("out_scales", object, python::kFloat32, size);
    }
    python::Array scales = operation.input("given", object, python::kFloat32);
    exact_length(operation, scales, size);
    return scales;
}

// The outputs of an encoder, in the order of gradwire.kernels.Quantized.
inline py::tuple codes_and_scales(py::handle codes_, const python::Array& codes, py::handle scales_,
                                  const python::Array& scales) {
    return py::make_tuple(python::leading(codes_, codes, codes.size),
                          python::leading(scales_, scales, scales.size));
}

// Codes in blocks with one scale each, and where their values go: code_bytes(n) bytes for n
// elements.
struct EncodedBlocks {
    std::uint64_t block;
    python::Array codes;
    python::Array scales;
    python::Array out;

    EncodedBlocks(const python::Operation& operation, py::handle codes_, py::handle scales_,
                  py::handle block_, py::handle out_, python::Types types,
                  std::uint64_t (*code_bytes)(std::uint64_t) noexcept)
        : block(block_length(operation, block_)),
          codes(operation.input("codes", codes_, python::kUint8)),
          scales(operation.input("scales", scales_, python::kFloat32)),
          out(operation.output("out", out_, types)) {
        exact_length(operation, codes, code_bytes(out.size));
        exact_length(operation, scales, scale_count(out.size, block, Scale::absmax));
        operation.apart({&codes, &scales}, {&out});
    }
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
