#include "gradwire/minifloat.h"

#include <pybind11/pybind11.h>

#include <array>
#include <string>

#include "arrays.h"
#include "coding.h"
#include "families.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

using python::Array;
using python::kFloating;
using python::kReal;
using python::kUint8;
using python::Operation;
using python::visit;
using python::visit_real;
using python::without_lock;
using std::uint64_t;

constexpr std::array<const char*, 6> kNames{"e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8"};
constexpr std::size_t kEightBits = 2;  // the first formats, which have a NaN

Minifloat format_named(const Operation& operation, const std::string& name, std::size_t count) {
    std::string known;
    for (std::size_t i = 0; i < count; ++i) {
        if (name == kNames[i]) {
            return static_cast<Minifloat>(i);
        }
        known += (i == 0 ? "" : " or ") + std::string(kNames[i]);
    }
    operation.fail("format must be " + known + ", got " + name);
}

uint64_t mx_bytes(uint64_t n, Minifloat format) noexcept {
    return minifloat_bits(format) * ((n + 7) / 8);
}

uint64_t mx_scales(uint64_t n) noexcept {
    return (n + kMxBlock - 1) / kMxBlock;
}

void to_minifloat_(py::handle x, const std::string& format, py::handle codes) {
    const Operation operation("to_fp8");
    const Array array = operation.input("x", x, kReal);
    const Array out = operation.output("out", codes, kUint8, array.size);
    const Minifloat kind = format_named(operation, format, kEightBits);
    operation.apart({&array}, {&out});
    without_lock([&] {
        visit_real(array, [&](const auto* p) {
            to_minifloat(p, array.size, kind, out.as<std::uint8_t>());
        });
    });
}

void from_minifloat_(py::handle codes, const std::string& format, py::handle out) {
    const Operation operation("from_fp8");
    const Array array = operation.input("codes", codes, kUint8);
    const Array values = operation.output("out", out, kFloating, array.size);
    const Minifloat kind = format_named(operation, format, kEightBits);
    operation.apart({&array}, {&values});
    without_lock([&] {
        visit(values,
              [&](auto* p) { from_minifloat(array.as<std::uint8_t>(), array.size, kind, p); });
    });
}

void quantize_mx_(py::handle x, const std::string& format, py::handle scales, py::handle codes) {
    const Operation operation("quantize_mx");
    const Array array = operation.input("x", x, kReal);
    const Minifloat kind = format_named(operation, format, kNames.size());
    const Array shared = operation.output("out_scales", scales, kUint8, mx_scales(array.size));
    const Array out = operation.output("out_codes", codes, kUint8, mx_bytes(array.size, kind));
    operation.apart({&array}, {&shared, &out});
    without_lock([&] {
        visit_real(array, [&](const auto* p) {
            quantize_mx(p, array.size, kind, shared.as<std::uint8_t>(), out.as<std::uint8_t>());
        });
    });
}

void dequantize_mx_(py::handle codes, py::handle scales, const std::string& format,
                    py::handle out) {
    const Operation operation("dequantize_mx");
    const Array array = operation.input("codes", codes, kUint8);
    const Array shared = operation.input("scales", scales, kUint8);
    const Array values = operation.output("out", out, kFloating);
    const Minifloat kind = format_named(operation, format, kNames.size());
    exact_length(operation, array, mx_bytes(values.size, kind));
    exact_length(operation, shared, mx_scales(values.size));
    operation.apart({&array, &shared}, {&values});
    without_lock([&] {
        visit(values, [&](auto* p) {
            dequantize_mx(array.as<std::uint8_t>(), shared.as<std::uint8_t>(), values.size, kind,
                          p);
        });
    });
}

}  // namespace

void bind_minifloat(py::module_& module) {
    module.def("to_fp8", &to_minifloat_);
    module.def("from_fp8", &from_minifloat_);
    module.def("quantize_mx", &quantize_mx_);
    module.def("dequantize_mx", &dequantize_mx_);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
