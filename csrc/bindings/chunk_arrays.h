// The chunks of entries that merge takes, from lists of arrays.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "gradwire/merge.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

namespace py = pybind11;

// One merge: its chunks and where their union goes.
struct ChunkArrays {
    python::Array out_indices, out_values;
    std::vector<Chunk> chunks;

    ChunkArrays(const python::Operation& operation, const py::list& index_chunks,
                const py::list& value_chunks, py::handle to_indices, py::handle to_values)
        : out_indices(operation.output("out_indices", to_indices, python::kUint32)),
          out_values(operation.output("out_values", to_values, python::kFloat32)) {
        operation.apart({}, {&out_indices, &out_values});
        if (index_chunks.size() != value_chunks.size()) {
            operation.fail("index_chunks and value_chunks must be of one length");
        }
        arrays_.reserve(2 * index_chunks.size());
        names_.reserve(2 * index_chunks.size());
        for (std::size_t p = 0; p < index_chunks.size(); ++p) {
            const std::string number = "[" + std::to_string(p) + "]";
            const python::Array& places =
                read(operation, "index_chunks" + number, index_chunks[p], python::kUint32);
            const python::Array& entries =
                read(operation, "value_chunks" + number, value_chunks[p], python::kFloat32);
            operation.same_length(entries, places);
            chunks.push_back(
                {places.as<const std::uint32_t>(), entries.as<const float>(), places.size});
        }
        apart_from(operation, out_indices);
        apart_from(operation, out_values);
    }

    ChunkArrays(const ChunkArrays&) = delete;
    ChunkArrays& operator=(const ChunkArrays&) = delete;

    // ConfigError if an output shares memory with a chunk.
    void apart_from(const python::Operation& operation, const python::Array& output) const {
        for (const python::Array& each : arrays_) {
            operation.apart({&each}, {&output});
        }
    }

    Entries out() const noexcept {
        return {out_indices.as<std::uint32_t>(), out_values.as<float>(),
                std::min(out_indices.size, out_values.size)};
    }

    std::uint64_t total() const noexcept {
        std::uint64_t total = 0;
        for (const Chunk& each : chunks) {
            total += each.count;
        }
        return total;
    }

  private:
    const python::Array& read(const python::Operation& operation, std::string name, py::handle from,
                              python::Types type) {
        names_.push_back(std::move(name));
        arrays_.push_back(operation.input(names_.back().c_str(), from, type));
        return arrays_.back();
    }

    std::vector<python::Array> arrays_;
    std::vector<std::string> names_;  // of the arrays, which point here
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
