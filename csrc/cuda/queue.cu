#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "queue.h"

namespace gradwire {
inline namespace cuda {
namespace {

thread_local Queue current{0, nullptr};
thread_local const char* failed = nullptr;

}  // namespace

Queue queue() noexcept {
    return current;
}

const char* take_failure() noexcept {
    const char* const what = failed;
    failed = nullptr;
    return what;
}

#if defined(__CUDACC__)

namespace {

// The first error is the one that tells something.
void note(cudaError_t error) noexcept {
    if (error != cudaSuccess) {
        if (failed == nullptr) {
            failed = cudaGetErrorString(error);
        }
        cudaGetLastError();  // or it would come back from somebody else's call
    }
}

// After a failure memory may be missing, and nothing more is asked of the device.
bool in_order() noexcept {
    return failed == nullptr;
}

cudaStream_t stream() noexcept {
    return static_cast<cudaStream_t>(current.stream);
}

}  // namespace

namespace {

constexpr int kMostDevices = 64;
constexpr std::uint64_t kKeptBytes = std::uint64_t{64} << 20;

cudaMemPool_t make_pool(int device) noexcept {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    cudaMemPool_t pool = nullptr;
    std::uint64_t kept = kKeptBytes;
    if (cudaMemPoolCreate(&pool, &properties) != cudaSuccess ||
        cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept) != cudaSuccess) {
        cudaGetLastError();
    }
    return pool;
}

// The default pool gives its memory back to the system whenever somebody waits for the device, and
// its threshold is not ours to change: it is everybody's. Null where there cannot be another one.
cudaMemPool_t own_pool(int device) noexcept {
    static std::mutex mutex;
    static std::array<cudaMemPool_t, kMostDevices> pools{};
    static std::array<bool, kMostDevices> made{};
    if (device < 0 || device >= kMostDevices) {
        return nullptr;
    }
    const auto at = static_cast<std::size_t>(device);
    const std::lock_guard<std::mutex> lock(mutex);
    if (!made[at]) {
        made[at] = true;
        pools[at] = make_pool(device);
    }
    return pools[at];
}

}  // namespace

int use_queue(Queue queue) noexcept {
    int before = queue.device;
    note(cudaGetDevice(&before));
    if (before != queue.device) {
        note(cudaSetDevice(queue.device));
    }
    current = queue;
    return before;
}

void restore_device(int device) noexcept {
    if (device != current.device) {
        note(cudaSetDevice(device));
    }
}

int device_of(const void* memory) noexcept {
    cudaPointerAttributes attributes{};
    if (cudaPointerGetAttributes(&attributes, memory) != cudaSuccess) {
        cudaGetLastError();
        return 0;
    }
    const bool known =
        attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
    return known ? attributes.device : 0;
}

Scratch::Scratch(std::uint64_t bytes) noexcept {
    if (bytes != 0) {
        const cudaMemPool_t pool = own_pool(current.device);
        note(pool != nullptr ? cudaMallocFromPoolAsync(&memory_, bytes, pool, stream())
                             : cudaMallocAsync(&memory_, bytes, stream()));
    }
}

Scratch::~Scratch() {
    if (memory_ != nullptr) {
        note(cudaFreeAsync(memory_, stream()));
    }
}

void set_bytes(void* memory, int value, std::uint64_t bytes) noexcept {
    if (bytes != 0 && in_order()) {
        note(cudaMemsetAsync(memory, value, bytes, stream()));
    }
}

void send_bytes(void* memory, const void* host, std::uint64_t bytes) noexcept {
    if (bytes != 0 && in_order()) {
        // From pageable memory the call returns when the bytes have been taken.
        note(cudaMemcpyAsync(memory, host, bytes, cudaMemcpyHostToDevice, stream()));
    }
}

void fetch_bytes(void* host, const void* memory, std::uint64_t bytes) noexcept {
    if (bytes != 0 && in_order()) {
        note(cudaMemcpyAsync(host, memory, bytes, cudaMemcpyDeviceToHost, stream()));
    }
    note(cudaStreamSynchronize(stream()));
}

unsigned processors() noexcept {
    int count = 1;
    note(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, current.device));
    return static_cast<unsigned>(count);
}

void launch_kernel(const void* kernel, unsigned blocks, unsigned threads,
                   void** parameters) noexcept {
    if (in_order()) {
        note(cudaLaunchKernel(kernel, dim3(blocks), dim3(threads), parameters, 0, stream()));
    }
}

#else

int use_queue(Queue queue) noexcept {
    current = queue;
    return queue.device;
}

void restore_device(int) noexcept {}

int device_of(const void*) noexcept {
    return 0;
}

Scratch::Scratch(std::uint64_t bytes) noexcept {
    if (bytes != 0) {
        ++emulation::host_dealings().scratches;
        memory_ = std::malloc(bytes);
        std::memset(memory_, 0xCD, bytes);
    }
}

Scratch::~Scratch() {
    std::free(memory_);
}

void set_bytes(void* memory, int value, std::uint64_t bytes) noexcept {
    if (bytes != 0) {
        std::memset(memory, value, bytes);
    }
}

void send_bytes(void* memory, const void* host, std::uint64_t bytes) noexcept {
    if (bytes != 0) {
        ++emulation::host_dealings().sends;
        std::memcpy(memory, host, bytes);
    }
}

void fetch_bytes(void* host, const void* memory, std::uint64_t bytes) noexcept {
    ++emulation::host_dealings().fetches;
    if (bytes != 0) {
        std::memcpy(host, memory, bytes);
    }
}

unsigned processors() noexcept {
    return 2;
}

#endif

}  // namespace cuda
}  // namespace gradwire
