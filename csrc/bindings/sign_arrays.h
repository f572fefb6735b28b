// What an encoder of gradwire/sign.h is told, checked.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <initializer_list>

#include "arrays.h"
#include "coding.h"
#include "gradwire/sign.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

inline std::uint64_t sign_bytes(std::uint64_t n) noexcept {
    return (n + 7) / 8;
}

// Outputs of an encoder of signs, and all it is told.
struct SignTarget {
    std::uint64_t block;
    bool given;
    python::Array scales;
    python::Array codes;

    SignTarget(const python::Operation& operation, std::uint64_t n, py::handle block_, bool given_,
               py::handle scales_, py::handle codes_)
        : block(block_length(operation, block_)),
          given(given_),
          scales(scales_array(operation, scales_, given, scale_count(n, block, Scale::absmax))),
          codes(operation.output_of("out_codes", codes_, python::kUint8, sign_bytes(n))) {}

    void check_apart(const python::Operation& operation,
                     std::initializer_list<const python::Array*> others) const {
        operation.apart(others, {&codes});
        if (!given) {
            operation.apart(others, {&scales});
        }
        operation.apart({&scales}, {&codes});
    }
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
