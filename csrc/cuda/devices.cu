#include "devices.h"
#include "simt.h"

#if defined(__CUDACC__)
#include <cstring>
#endif

namespace gradwire {
inline namespace cuda {

#if defined(__CUDACC__)

namespace {

// An error here is an answer, and nothing for the next call to find.
bool went_well(cudaError_t error) noexcept {
    if (error != cudaSuccess) {
        cudaGetLastError();
    }
    return error == cudaSuccess;
}

}  // namespace

int device_count() noexcept {
    int count = 0;
    return went_well(cudaGetDeviceCount(&count)) ? count : 0;
}

bool describe(int number, Device* device) noexcept {
    cudaDeviceProp properties;
    if (!went_well(cudaGetDeviceProperties(&properties, number))) {
        return false;
    }
    static_assert(sizeof device->name == sizeof properties.name);
    std::memcpy(device->name, properties.name, sizeof device->name);
    device->major = properties.major;
    device->minor = properties.minor;
    device->processors = static_cast<unsigned>(properties.multiProcessorCount);
    device->memory_bytes = properties.totalGlobalMem;
    device->cache_bytes = static_cast<std::uint64_t>(properties.l2CacheSize);
    return true;
}

int runtime_version() noexcept {
    int version = 0;
    return went_well(cudaRuntimeGetVersion(&version)) ? version : 0;
}

int driver_version() noexcept {
    int version = 0;
    return went_well(cudaDriverGetVersion(&version)) ? version : 0;
}

#else

int device_count() noexcept {
    return 0;
}

bool describe(int, Device*) noexcept {
    return false;
}

int runtime_version() noexcept {
    return 0;
}

int driver_version() noexcept {
    return 0;
}

#endif

}  // namespace cuda
}  // namespace gradwire
