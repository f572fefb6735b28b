#include <pybind11/pybind11.h>

#include "addresses.h"
#include "gradwire/histogram.h"
#include "gradwire/select.h"

namespace gradwire::bindings {
namespace {

using std::uint64_t;

pybind11::tuple to_tuple(const Selection& result) {
    return pybind11::make_tuple(result.written, result.found, result.threshold);
}

Entries entries(Address indices, Address values, uint64_t capacity) noexcept {
    return {pointer<std::uint32_t>(indices), pointer<float>(values), capacity};
}

bool finite_check_at(Address x, uint64_t n) {
    return without_lock([&] { return finite_check(pointer<const float>(x), n); });
}

void histogram_at(Address x, uint64_t n, unsigned shift, unsigned bits, std::uint32_t prefix,
                  Address counts) {
    without_lock([&] {
        histogram(pointer<const float>(x), n, shift, bits, prefix, pointer<uint64_t>(counts));
    });
}

float kth_magnitude_at(Address x, uint64_t n, uint64_t k, Address workspace, uint64_t bytes) {
    float result = 0.0F;
    require(without_lock([&] {
                return kth_magnitude(pointer<const float>(x), n, k, pointer<void>(workspace), bytes,
                                     &result);
            }),
            "kth_magnitude");
    return result;
}

pybind11::tuple select_at(Address x, uint64_t n, float threshold, Address indices, Address values,
                          uint64_t capacity) {
    Selection result{};
    without_lock([&] {
        select(pointer<const float>(x), n, threshold, entries(indices, values, capacity), &result);
    });
    return to_tuple(result);
}

pybind11::tuple compensate_select_at(Address gradient, Address residual, uint64_t n,
                                     float threshold, Address acc, Address indices, Address values,
                                     uint64_t capacity) {
    Selection result{};
    without_lock([&] {
        compensate_select(pointer<const float>(gradient), pointer<const float>(residual), n,
                          threshold, pointer<float>(acc), entries(indices, values, capacity),
                          &result);
    });
    return to_tuple(result);
}

pybind11::tuple topk_at(Address x, uint64_t n, uint64_t k, Address indices, Address values,
                        uint64_t capacity, Address workspace, uint64_t bytes) {
    Selection result{};
    require(without_lock([&] {
                return topk(pointer<const float>(x), n, k, entries(indices, values, capacity),
                            pointer<void>(workspace), bytes, &result);
            }),
            "topk");
    return to_tuple(result);
}

pybind11::tuple compensate_topk_at(Address gradient, Address residual, uint64_t n, uint64_t k,
                                   float floor, Address acc, Address indices, Address values,
                                   uint64_t capacity, Address workspace, uint64_t bytes) {
    Selection result{};
    require(without_lock([&] {
                return compensate_topk(pointer<const float>(gradient),
                                       pointer<const float>(residual), n, k, floor,
                                       pointer<float>(acc), entries(indices, values, capacity),
                                       pointer<void>(workspace), bytes, &result);
            }),
            "compensate_topk");
    return to_tuple(result);
}

}  // namespace

void bind_selection(pybind11::module_& module) {
    module.def("finite_check", &finite_check_at);
    module.def("histogram", &histogram_at);
    module.def("kth_magnitude_workspace", &kth_magnitude_workspace);
    module.def("kth_magnitude", &kth_magnitude_at);
    module.def("select", &select_at);
    module.def("compensate_select", &compensate_select_at);
    module.def("topk_workspace", &topk_workspace);
    module.def("topk", &topk_at);
    module.def("compensate_topk", &compensate_topk_at);
}

}  // namespace gradwire::bindings
