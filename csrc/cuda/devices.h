// What GPUs there are, for people and for benchmarks; no operation needs to know.
#pragma once

#include <cstdint>

namespace gradwire {
inline namespace cuda {

struct Device {
    char name[256];
    int major, minor;  // of its compute capability
    unsigned processors;
    std::uint64_t memory_bytes;
    std::uint64_t cache_bytes;  // L2
};

// 0 where there is no driver, or none that is new enough.
int device_count() noexcept;
// False if it cannot be asked.
bool describe(int number, Device* device) noexcept;

// Versions of CUDA as CUDA writes them, 13000 for 13.0: what the kernels were built with, and the
// latest that the driver knows, 0 where there is no driver.
int runtime_version() noexcept;
int driver_version() noexcept;

}  // namespace cuda
}  // namespace gradwire
