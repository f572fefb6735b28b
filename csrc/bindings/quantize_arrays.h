// What an encoder of gradwire/quantize.h is told, checked.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <initializer_list>

#include "arrays.h"
#include "coding.h"
#include "gradwire/quantize.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

inline Scale scale_named(const python::Operation& operation, py::handle object) {
    const auto is = [&](const char* name) {
        return PyUnicode_Check(object.ptr()) != 0 &&
               PyUnicode_CompareWithASCIIString(object.ptr(), name) == 0;
    };
    if (is("absmax")) {
        return Scale::absmax;
    }
    if (is("l2")) {
        return Scale::l2;
    }
    if (!is("minmax")) {
        operation.fail("scale must be absmax, l2 or minmax, got " + shown(object));
    }
    return Scale::minmax;
}

inline Grid grid_of(const python::Operation& operation, py::handle bits, py::handle levels,
                    py::handle block, py::handle scale) {
    Grid grid{};
    grid.scale = scale_named(operation, scale);
    const bool minmax = grid.scale == Scale::minmax;
    grid.bits = static_cast<unsigned>(integer(operation, "bits", bits, minmax ? 1 : 2, 8));
    const unsigned most = minmax ? (1U << grid.bits) - 1 : (1U << (grid.bits - 1)) - 1;
    if (minmax && !levels.is_none()) {
        operation.fail("levels must be None with minmax, whose codes are all used");
    }
    grid.levels = levels.is_none()
                      ? most
                      : static_cast<unsigned>(integer(operation, "levels", levels, 1, most));
    grid.block = block_length(operation, block);
    return grid;
}

// Outputs of an encoder, and all it is told.
struct QuantizeTarget {
    Encoding how{};
    python::Array scales;
    python::Array codes;

    QuantizeTarget(const python::Operation& operation, std::uint64_t n, const Grid& grid,
                   py::handle random, bool given, py::handle scales_, py::handle codes_)
        : scales(scales_array(operation, scales_, given, scale_count(n, grid.block, grid.scale))),
          codes(
              operation.output_of("out_codes", codes_, python::kUint8, code_bytes(n, grid.bits))) {
        how.grid = grid;
        how.given = given;
        how.stochastic = !random.is_none();
        if (how.stochastic) {
            how.random = random_stream(operation, random);
        }
    }
    void check_apart(const python::Operation& operation,
                     std::initializer_list<const python::Array*> others) const {
        operation.apart(others, {&codes});
        if (!how.given) {
            operation.apart(others, {&scales});
        }
        operation.apart({&scales}, {&codes});
    }
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
