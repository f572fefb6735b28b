// The arrays of acc = residual + gradient, checked.
#pragma once

#include <pybind11/pybind11.h>

#include "arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

namespace py = pybind11;

// `out` takes acc, or what of it is not sent. It may be gradient itself if that is float32, but
// must not overlap it in part, nor the residual at all.
struct Compensation {
    python::Array gradient;
    python::Array residual;
    python::Array out;

    Compensation(const python::Operation& operation, py::handle gradient_, py::handle residual_,
                 const char* out_name, py::handle out_)
        : gradient(operation.input("gradient", gradient_, python::kReal)),
          residual(operation.input("residual", residual_, python::kFloat32)),
          out(operation.output(out_name, out_, python::kFloat32)) {
        operation.same_length(residual, gradient);
        operation.same_length(out, gradient);
        operation.apart({&residual}, {&out});
        if (out.data != gradient.data || out.type != gradient.type) {
            operation.apart({&gradient}, {&out});
        }
    }
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
