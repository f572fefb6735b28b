// CUDA's words on the host: every thread of a block is a fiber, and fibers give way to each other
// where CUDA's threads wait for each other. Blocks run a few at a time, their threads and warps in
// an order that changes from launch to launch but is the same in every run of a program. So what
// depends on an order that CUDA does not promise comes out wrong here too, and repeatably.
//
// What is wrong in a kernel ends the process with a message: threads that wait for one that will
// not come, and waiting without end. Memory of blocks is filled with garbage first.
//
// For tests: it is slow, and knows only what csrc/cuda/simt.h lists.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

template <typename T, unsigned count>
struct EmulatedVector;
struct alignas(8) uint2 {
    std::uint32_t x, y;
};
struct alignas(16) uint4 {
    std::uint32_t x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) ulonglong2 {
    unsigned long long x, y;
};
struct alignas(8) ushort4 {
    unsigned short x, y, z, w;
};
inline uint2 make_uint2(std::uint32_t x, std::uint32_t y) {
    return {x, y};
}
inline uint4 make_uint4(std::uint32_t x, std::uint32_t y, std::uint32_t z, std::uint32_t w) {
    return {x, y, z, w};
}
inline float2 make_float2(float x, float y) {
    return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}
inline ushort4 make_ushort4(unsigned short x, unsigned short y, unsigned short z,
                            unsigned short w) {
    return {x, y, z, w};
}
inline ulonglong2 make_ulonglong2(unsigned long long x, unsigned long long y) {
    return {x, y};
}

namespace gradwire::emulation {

struct Place {
    dim3 thread, block, block_size, grid_size;
};

const Place& place() noexcept;

// What operations had to do with the host since the program began, beside launches: how often they
// waited for something, took bytes of the host's, and took memory.
struct HostDealings {
    std::atomic<std::uint64_t> fetches, sends, scratches;
};

HostDealings& host_dealings() noexcept;

void* shared_memory(const char* file, int line, std::size_t bytes, std::size_t alignment);

// Lets other threads go on; a loop that waits calls it.
void give_way() noexcept;

void wait_for_block() noexcept;

// All lanes of a warp put a word and get every lane's: valid until the next call.
const std::uint64_t* share_in_warp(unsigned mask, std::uint64_t word) noexcept;

using Entry = void (*)(void* work);
void run(dim3 grid, dim3 block, Entry entry, void* work);

template <typename... Parameters, typename... Arguments>
void launch(dim3 grid, dim3 block, void (*kernel)(Parameters...), Arguments... arguments) {
    struct Work {
        void (*kernel)(Parameters...);
        std::tuple<Parameters...> parameters;
    } work{kernel, std::tuple<Parameters...>(arguments...)};
    run(
        grid, block,
        [](void* given) {
            auto& mine = *static_cast<Work*>(given);
            std::apply(mine.kernel, mine.parameters);
        },
        &work);
}

template <typename T>
std::uint64_t to_word(T value) noexcept {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
}

template <typename T>
T from_word(std::uint64_t word) noexcept {
    T value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

}  // namespace gradwire::emulation

#define threadIdx (::gradwire::emulation::place().thread)
#define blockIdx (::gradwire::emulation::place().block)
#define blockDim (::gradwire::emulation::place().block_size)
#define gridDim (::gradwire::emulation::place().grid_size)

inline void __syncthreads() {
    ::gradwire::emulation::wait_for_block();
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFU) {
    ::gradwire::emulation::share_in_warp(mask, 0);
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source) {
    const auto* const words =
        ::gradwire::emulation::share_in_warp(mask, ::gradwire::emulation::to_word(value));
    return ::gradwire::emulation::from_word<T>(words[static_cast<unsigned>(source) % 32]);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance) {
    const unsigned own = threadIdx.x % 32;
    return __shfl_sync(mask, value, static_cast<int>(own < distance ? own : own - distance));
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance) {
    const unsigned own = threadIdx.x % 32;
    return __shfl_sync(mask, value, static_cast<int>(own + distance > 31 ? own : own + distance));
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits) {
    return __shfl_sync(mask, value, static_cast<int>(threadIdx.x % 32) ^ bits);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    const auto* const words = ::gradwire::emulation::share_in_warp(mask, predicate != 0);
    unsigned votes = 0;
    for (unsigned lane = 0; lane < 32; ++lane) {
        votes |= static_cast<unsigned>(words[lane]) << lane;
    }
    return votes;
}
inline int __any_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) == 0xFFFFFFFFU;
}

inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
inline int __popcll(unsigned long long x) {
    return __builtin_popcountll(x);
}
inline int __clz(int x) {
    return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}
inline int __clzll(long long x) {
    return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) {
    return __builtin_ffs(x);
}
inline unsigned __brev(unsigned x) {
    unsigned reversed = 0;
    for (unsigned bit = 0; bit < 32; ++bit) {
        reversed |= (x >> bit & 1U) << (31 - bit);
    }
    return reversed;
}
// Byte i of the result is byte (digit i of selector) of the eight of y and x.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    const unsigned long long bytes = static_cast<unsigned long long>(y) << 32 | x;
    unsigned result = 0;
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned from = selector >> (4 * i) & 7U;
        result |= static_cast<unsigned>(bytes >> (8 * from) & 0xFFU) << (8 * i);
    }
    return result;
}
inline unsigned __float_as_uint(float x) {
    return ::gradwire::emulation::from_word<unsigned>(::gradwire::emulation::to_word(x));
}
inline float __uint_as_float(unsigned x) {
    return ::gradwire::emulation::from_word<float>(::gradwire::emulation::to_word(x));
}

template <typename T>
T __ldcs(const T* p) {
    return *p;
}
template <typename T>
T __ldcg(const T* p) {
    return *static_cast<const volatile T*>(p);
}
template <typename T>
T __ldg(const T* p) {
    return *p;
}
template <typename T>
void __stcs(T* p, T value) {
    *p = value;
}

// One thread of the machine runs all fibers, and none gives way in here.
template <typename T>
T atomicAdd(T* p, std::common_type_t<T> value) {
    const T before = *p;
    *p = before + value;
    return before;
}
template <typename T>
T atomicMax(T* p, std::common_type_t<T> value) {
    const T before = *p;
    *p = before < value ? value : before;
    return before;
}
template <typename T>
T atomicMin(T* p, std::common_type_t<T> value) {
    const T before = *p;
    *p = value < before ? value : before;
    return before;
}
template <typename T>
T atomicOr(T* p, std::common_type_t<T> value) {
    const T before = *p;
    *p = before | value;
    return before;
}
template <typename T>
T atomicExch(T* p, std::common_type_t<T> value) {
    const T before = *p;
    *p = value;
    return before;
}
template <typename T>
T atomicCAS(T* p, std::common_type_t<T> expected, std::common_type_t<T> value) {
    const T before = *p;
    if (before == expected) {
        *p = value;
    }
    return before;
}
