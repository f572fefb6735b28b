// The part of DLPack 1.x that is used here: what memory a Python object is, without asking for it
// in Python. The layout is that of DLPack's exchange table (version 1.3; torch has it since 2.10).
#pragma once

#include <cstdint>

namespace gradwire::python::dlpack {

struct Version {
    std::uint32_t major;
    std::uint32_t minor;
};

struct Tensor {
    void* data;
    std::int32_t device_type;
    std::int32_t device_id;
    std::int32_t dimensions;
    std::uint8_t type_code;
    std::uint8_t type_bits;
    std::uint16_t type_lanes;
    std::int64_t* shape;
    std::int64_t* strides;  // in elements
    std::uint64_t byte_offset;
};

constexpr std::int32_t kCpu = 1;
constexpr std::int32_t kCuda = 2;
constexpr std::uint32_t kMajor = 1;

struct ExchangeTable {
    Version version;
    ExchangeTable* previous;
    void (*allocate)();
    void (*from_object)();
    void (*to_object)();
    // Not owned by the caller; 0 if it went well, else -1 and a Python error. May be null.
    int (*borrow)(void* object, Tensor* out);
    void (*current_stream)();
};

}  // namespace gradwire::python::dlpack
