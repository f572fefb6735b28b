#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <tuple>
#include <vector>

#include "addresses.h"
#include "gradwire/merge.h"
#include "gradwire/residual.h"
#include "gradwire/scatter.h"

namespace gradwire::bindings {
namespace {

using std::uint64_t;
using ChunkAddresses = std::tuple<Address, Address, uint64_t>;  // indices, values, count

void clear_at(Address x, uint64_t n, Address indices, uint64_t count) {
    require(without_lock([&] {
                return clear(pointer<float>(x), n, pointer<const std::uint32_t>(indices), count);
            }),
            "clear");
}

void scatter_at(Address out, uint64_t n, Address indices, Address values, uint64_t count) {
    require(without_lock([&] {
                return scatter(pointer<float>(out), n, pointer<const std::uint32_t>(indices),
                               pointer<const float>(values), count);
            }),
            "scatter");
}

void scatter_add_at(Address out, uint64_t n, Address indices, Address values, uint64_t count) {
    require(without_lock([&] {
                return scatter_add(pointer<float>(out), n, pointer<const std::uint32_t>(indices),
                                   pointer<const float>(values), count);
            }),
            "scatter_add");
}

uint64_t merge_at(const std::vector<ChunkAddresses>& addresses, Address indices, Address values,
                  uint64_t capacity) {
    std::vector<Chunk> chunks;
    chunks.reserve(addresses.size());
    for (const auto& [chunk_indices, chunk_values, count] : addresses) {
        chunks.push_back({pointer<const std::uint32_t>(chunk_indices),
                          pointer<const float>(chunk_values), count});
    }
    std::vector<uint64_t> cursors(chunks.size());
    const Entries out{pointer<std::uint32_t>(indices), pointer<float>(values), capacity};
    uint64_t written = 0;
    require(without_lock(
                [&] { return merge(chunks.data(), chunks.size(), cursors.data(), out, &written); }),
            "merge");
    return written;
}

uint64_t intersect_at(Address a, uint64_t a_count, Address b, uint64_t b_count, Address out) {
    uint64_t written = 0;
    require(without_lock([&] {
                return intersect(pointer<const std::uint32_t>(a), a_count,
                                 pointer<const std::uint32_t>(b), b_count,
                                 pointer<std::uint32_t>(out), &written);
            }),
            "intersect");
    return written;
}

}  // namespace

void bind_sparse(pybind11::module_& module) {
    module.def("clear", &clear_at);
    module.def("scatter", &scatter_at);
    module.def("scatter_add", &scatter_add_at);
    module.def("merge", &merge_at);
    module.def("intersect", &intersect_at);
}

}  // namespace gradwire::bindings
