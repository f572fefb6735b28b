// The arrays of selections, checked: what those that wait and those that are queued share.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "arrays.h"
#include "compensation.h"
#include "gradwire/residual.h"
#include "gradwire/select.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

namespace py = pybind11;

// Output buffers of a selection.
struct EntryArrays {
    python::Array indices;
    python::Array values;

    EntryArrays(const python::Operation& operation, py::handle out_indices, py::handle out_values,
                std::uint64_t least)
        : indices(operation.output("out_indices", out_indices, python::kUint32, least)),
          values(operation.output("out_values", out_values, python::kFloat32, least)) {}

    Entries entries() const noexcept {
        return {indices.as<std::uint32_t>(), values.as<float>(),
                std::min(indices.size, values.size)};
    }
};

// The arrays of momentum correction: compensation, and the momentum in the same way.
struct MomentumArrays {
    Compensation compensation;
    python::Array momentum;
    python::Array out_momentum;

    // out_momentum may be gradient itself if that is float32; nothing else may overlap.
    MomentumArrays(const python::Operation& operation, py::handle gradient_, py::handle momentum_,
                   py::handle residual_, py::handle out_momentum_, py::handle acc_)
        : compensation(operation, gradient_, residual_, "out_acc", acc_),
          momentum(operation.input("momentum", momentum_, python::kFloat32)),
          out_momentum(operation.output("out_momentum", out_momentum_, python::kFloat32)) {
        const python::Array& gradient = compensation.gradient;
        operation.same_length(momentum, gradient);
        operation.same_length(out_momentum, gradient);
        operation.apart({&momentum, &compensation.residual, &gradient}, {&compensation.out});
        operation.apart({&momentum, &compensation.residual}, {&out_momentum});
        operation.apart({}, {&compensation.out, &out_momentum});
        if (out_momentum.data != gradient.data || out_momentum.type != gradient.type) {
            operation.apart({&gradient}, {&out_momentum});
        }
    }

    void apart_from(const python::Operation& operation,
                    std::initializer_list<const python::Array*> outputs) const {
        operation.apart({&compensation.gradient, &compensation.residual, &compensation.out,
                         &momentum, &out_momentum},
                        outputs);
    }

    template <typename T>
    Momentum<T> of(const T* gradient, double factor, bool nesterov) const noexcept {
        return {gradient,
                momentum.as<float>(),
                compensation.residual.as<float>(),
                python::narrowed(factor),
                nesterov,
                out_momentum.as<float>(),
                compensation.out.as<float>()};
    }
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
