#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>

#include "arrays.h"
#include "families.h"
#include "gradwire/philox.h"
#include "gradwire/random_indices.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

namespace py = pybind11;
using python::Array;
using python::kUint32;
using python::kUint64;
using python::Operation;
using python::without_lock;
using std::uint64_t;

void random_indices_(uint64_t n, uint64_t k, std::uint32_t seed, std::uint32_t key,
                     std::uint32_t step, py::handle bitmap, py::handle out) {
    const Operation operation("random_indices");
    const Array marks = operation.output("bitmap", bitmap, kUint64, random_indices_words(n));
    const Array places = operation.output("out", out, kUint32, k);
    operation.apart({}, {&marks, &places});
    without_lock([&] {
        random_indices(n, k, {seed, key, step}, marks.as<uint64_t>(), places.as<std::uint32_t>());
    });
}

std::array<std::uint32_t, 4> philox4x32_(std::array<std::uint32_t, 4> counter,
                                         std::array<std::uint32_t, 2> key) {
    return philox4x32(counter, key);
}

}  // namespace

void bind_random(py::module_& module) {
    module.def("random_indices_words", &random_indices_words);
    module.def("random_indices", &random_indices_);
    module.def("philox4x32", &philox4x32_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
