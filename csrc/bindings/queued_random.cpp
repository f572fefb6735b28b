// Operations that never wait anyway, with their random step in device memory.
#include <pybind11/pybind11.h>

#include <string>

#include "../cuda/random_bits.h"
#include "../cuda/random_indices.h"
#include "../cuda/transform.h"
#include "arrays.h"
#include "queued_arrays.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kFloat32;
using python::kUint16;
using python::kUint32;
using python::Operation;
using python::without_lock;
using std::uint32_t;
using std::uint64_t;

void random_bits_(py::handle random, py::handle step_, py::handle out) {
    const Operation operation("queued.random_bits");
    const Array array = operation.output("out", out, kUint16);
    const RandomStream stream = random_stream(operation, random);
    const Array step = one_element(operation, "step", step_, kUint32);
    operation.apart({&step}, {&array});
    without_lock([&] {
        enqueue_random_bits(stream, step.as<const uint32_t>(), array.size,
                            array.as<std::uint16_t>());
    });
}

// The bitmap, which may be anything, and what else the drawing of `k` of `n` needs.
uint64_t drawing_bytes(uint64_t n) noexcept {
    return random_indices_words(n) * sizeof(uint64_t) + kRoomAlignment +
           random_indices_workspace(n);
}

void random_indices_(uint64_t n, uint64_t k, uint32_t seed, uint32_t key, py::handle step_,
                     py::handle out, py::handle workspace) {
    const Operation operation("queued.random_indices");
    const Array places = operation.output_of("out", out, kUint32, k);
    const Array step = one_element(operation, "step", step_, kUint32);
    const Room room(operation, workspace, drawing_bytes(n));
    operation.apart({&step}, {&places, &room.array});
    // The bitmap follows at an address that is aligned as the beginning is.
    const uint64_t first =
        (random_indices_workspace(n) + kRoomAlignment - 1) / kRoomAlignment * kRoomAlignment;
    auto* const bitmap = reinterpret_cast<uint64_t*>(static_cast<char*>(room.memory()) + first);
    without_lock([&] {
        enqueue_random_indices(n, k, {seed, key, 0}, step.as<const uint32_t>(), bitmap,
                               room.memory(), places.as<uint32_t>());
    });
}

// As hadamard.
void hadamard_(py::handle x, uint64_t block, py::handle out, uint32_t signs, uint32_t seed,
               uint32_t key, py::handle step_, uint32_t stream) {
    const Operation operation("queued.hadamard");
    const Array array = operation.input("x", x, kFloat32);
    const Array result = operation.output("out", out, kFloat32);
    const Array step = one_element(operation, "step", step_, kUint32);
    operation.same_length(result, array);
    if (result.data != array.data) {
        operation.apart({&array}, {&result});
    }
    operation.apart({&step}, {&result});
    if (array.size % block != 0) {
        operation.fail("x must have a multiple of " + std::to_string(block) +
                       " elements (block), got " + std::to_string(array.size) +
                       ": append zeros to it");
    }
    without_lock([&] {
        enqueue_hadamard(array.as<const float>(), array.size, block, static_cast<Signs>(signs),
                         {seed, key, 0, stream}, step.as<const uint32_t>(), result.as<float>());
    });
}

}  // namespace

void bind_queued_random(py::module_& module) {
    module.def("queued_random_bits", &random_bits_);
    module.def("queued_random_indices_workspace",
               [](uint64_t n) { return room_bytes(drawing_bytes(n)); });
    module.def("queued_random_indices", &random_indices_);
    module.def("queued_hadamard", &hadamard_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
