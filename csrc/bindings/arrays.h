// What the bindings share: Python objects as checked memory, and errors of gradwire.
//
// NumPy arrays and torch CPU tensors are read directly; everything else that speaks DLPack goes
// through numpy.from_dlpack. Nothing is ever copied or converted. Compiled once, without the flags
// of any instruction set; and once more for the module of the CUDA kernels (GRADWIRE_ON_DEVICE),
// where arrays are torch's, CuPy's and others' on one GPU (device_arrays.cpp).
#pragma once

#include <pybind11/pybind11.h>

#include <cfenv>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>

#include "gradwire/status.h"
#include "gradwire/types.h"

namespace gradwire::python {

namespace py = pybind11;

// Element types; several make a set.
using Types = std::uint32_t;
constexpr Types kFloat32 = 1;
constexpr Types kFloat16 = 2;
constexpr Types kBfloat16 = 4;
constexpr Types kFloat64 = 8;
constexpr Types kUint8 = 16;
constexpr Types kUint16 = 32;
constexpr Types kUint32 = 64;
constexpr Types kUint64 = 128;
constexpr Types kInt32 = 256;
constexpr Types kFloating = kFloat32 | kFloat16 | kBfloat16;
constexpr Types kReal = kFloating | kFloat64;  // what is only read: float64 is rounded on the way

// One-dimensional contiguous memory of a Python object, which it keeps alive.
struct Array {
    const char* name;  // of the argument
    void* data;
    std::uint64_t size;  // elements
    std::uint64_t bytes;
    Types type;  // one
    py::object owner;
    std::uint64_t capacity;  // elements of the object, if more than size are there

    template <typename T>
    T* as() const noexcept {
        return static_cast<T*>(data);
    }
};

// One call of an operation: reads its arguments and names them in errors.
class Operation {
  public:
    explicit Operation(const char* name) noexcept;

    // Raises ConfigError for anything but a vector of one of the types, on this device.
    Array input(const char* name, py::handle object, Types types) const;
    // The same for memory that can be written and has at least `least` elements.
    Array output(const char* name, py::handle object, Types types, std::uint64_t least = 0) const;
    // The first `size` elements of such memory.
    Array output_of(const char* name, py::handle object, Types types, std::uint64_t size) const;
    // The first `bytes` of the uint8 array "workspace", which may be longer than other arrays.
    Array workspace(py::handle object, std::uint64_t bytes) const;

    // ConfigError unless `array` is as long as `like`.
    void same_length(const Array& array, const Array& like) const;
    // ConfigError unless both are of one type.
    void same_type(const Array& array, const Array& like) const;
    // ConfigError if an output shares memory with an input or another output.
    void apart(std::initializer_list<const Array*> inputs,
               std::initializer_list<const Array*> outputs) const;
    // ConfigError, or another class of gradwire.errors, unless the status is ok.
    void check(Status status, const char* error = "ConfigError") const;

    [[noreturn]] void fail(const std::string& message, const char* error = "ConfigError") const;

  private:
    void at_least(const Array& array, std::uint64_t least) const;

    const char* name_;
};

// The first `count` elements of the object that `array` was made of; itself if it has no more. Of
// what is neither NumPy's nor torch's, which may not know slices, as a NumPy array.
py::object leading(py::handle object, const Array& array, std::uint64_t count);

// Calls work(T*) with the memory of a floating-point array as what it is.
template <typename Work>
auto visit(const Array& array, Work&& work) {
    if (array.type == kFloat16) {
        return work(array.as<float16>());
    }
    if (array.type == kBfloat16) {
        return work(array.as<bfloat16>());
    }
    return work(array.as<float>());
}

// The same where float64 is taken too.
template <typename Work>
auto visit_real(const Array& array, Work&& work) {
    if (array.type == kFloat64) {
        return work(array.as<double>());
    }
    return visit(array, std::forward<Work>(work));
}

// A float32 result as Python's float, also where the thread takes denormals for zero.
inline double widened(float x) noexcept {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7F800000U) != 0) {
        return static_cast<double>(x);
    }
    const double size = static_cast<double>(bits & 0x7FFFFFU) * 0x1p-149;
    return (bits >> 31) != 0 ? -size : size;
}

// The inverse for numbers: to nearest even, whatever the thread does with denormals and rounding.
inline float narrowed(double x) noexcept {
    constexpr unsigned kExtra = 52 - 23;  // bits of the mantissa that float32 does not have
    constexpr std::uint64_t kBias = 1023 - 127;
    constexpr std::uint64_t kOne = std::uint64_t{1} << 52;
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const auto sign = static_cast<std::uint32_t>(bits >> 63) << 31;
    const std::uint64_t exponent = bits >> 52 & 0x7FFU;
    std::uint64_t wide = (bits & (kOne - 1)) | kOne;
    unsigned drop = kExtra;
    if (exponent > kBias) {
        wide += (exponent - kBias - 1) << 52;  // the leading one adds the last to the exponent
    } else {
        drop += static_cast<unsigned>(kBias + 1 - exponent);
    }
    std::uint32_t magnitude = 0;
    if (drop < 64) {
        const std::uint64_t half = std::uint64_t{1} << (drop - 1);
        const std::uint64_t odd = wide >> drop & 1U;
        const std::uint64_t rounded = (wide + half - 1 + odd) >> drop;
        magnitude = static_cast<std::uint32_t>(rounded < 0x7F800000U ? rounded : 0x7F800000U);
    }
    magnitude |= sign;
    float result;
    std::memcpy(&result, &magnitude, sizeof result);
    return result;
}

#if defined(GRADWIRE_ON_DEVICE)
// While an operation runs: the device and the stream of the arrays that it was called with, and
// arithmetic as everywhere, whatever the modes of the thread.
class OnDevice {
  public:
    OnDevice() noexcept;
    ~OnDevice();
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

  private:
    int before_;
    std::fenv_t modes_;
};

// Raises what the device reported.
void check_device();
#endif

template <typename Work>
auto without_lock(Work&& work) {
#if defined(GRADWIRE_ON_DEVICE)
    const auto run = [&] {
        const py::gil_scoped_release released;
        const OnDevice there;
        return std::forward<Work>(work)();
    };
    if constexpr (std::is_void_v<decltype(run())>) {
        run();
        check_device();
    } else {
        const auto result = run();
        check_device();
        return result;
    }
#else
    const py::gil_scoped_release released;
    return std::forward<Work>(work)();
#endif
}

}  // namespace gradwire::python
