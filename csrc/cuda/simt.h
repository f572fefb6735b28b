// What kernels are written with: CUDA's own words, and few of ours for what CUDA says in several
// ways. Without nvcc the same words run on the host (csrc/emulation), so the kernels themselves,
// not copies of their arithmetic, are tested on machines that have no GPU.
//
// Kernels keep to what both know:
//   threadIdx.x, blockIdx.x, blockDim.x, gridDim.x (one dimension), __syncthreads, __syncwarp,
//   __shfl_sync, __shfl_up_sync, __shfl_down_sync, __shfl_xor_sync, __ballot_sync, __any_sync,
//   __all_sync (all with kFullWarp, by all lanes of a warp), atomicAdd, atomicMax, atomicMin,
//   atomicOr, atomicCAS, atomicExch, __threadfence, __popc, __popcll, __clz, __clzll, __ffs,
//   __brev,
//   __byte_perm,
//   __float_as_uint, __uint_as_float, float4, uint4, uint2, ulonglong2, __ldcs, __stcs, __ldcg.
//   Blocks are whole warps, and no thread of a block leaves while others still synchronise.
//
//   GRADWIRE_SHARED(Type, name)   memory of the block, not initialised; a reference to a Type
//                                 without constructors
//   load_acquire, store_release   of 32 and 64 bits, between blocks
//   load_relaxed, store_relaxed   of 64 bits, between blocks: words that stand for themselves
//   pause()                       in a loop that waits for another block
//   GRADWIRE_UNROLL               before a loop whose counter chooses registers
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#include <cuda_runtime.h>

#define GRADWIRE_DEVICE __device__ __forceinline__
#define GRADWIRE_SHARED(Type, name) __shared__ Type name
#define GRADWIRE_UNROLL _Pragma("unroll")

#else
#include "../emulation/emulation.h"

#define GRADWIRE_DEVICE inline
#define GRADWIRE_UNROLL
#define GRADWIRE_SHARED(Type, name)   \
    Type& name = *static_cast<Type*>( \
        ::gradwire::emulation::shared_memory(__FILE__, __LINE__, sizeof(Type), alignof(Type)))
#endif

namespace gradwire {
inline namespace cuda {

constexpr unsigned kWarp = 32;
constexpr unsigned kFullWarp = 0xFFFFFFFFU;

#if defined(__CUDACC__)

GRADWIRE_DEVICE std::uint64_t load_acquire(const std::uint64_t* p) {
    std::uint64_t value;
    asm volatile("ld.acquire.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(p) : "memory");
    return value;
}

GRADWIRE_DEVICE std::uint32_t load_acquire(const std::uint32_t* p) {
    std::uint32_t value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(p) : "memory");
    return value;
}

GRADWIRE_DEVICE void store_release(std::uint64_t* p, std::uint64_t value) {
    asm volatile("st.release.gpu.global.u64 [%0], %1;" ::"l"(p), "l"(value) : "memory");
}

GRADWIRE_DEVICE void store_release(std::uint32_t* p, std::uint32_t value) {
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(value) : "memory");
}

GRADWIRE_DEVICE std::uint64_t load_relaxed(const std::uint64_t* p) {
    std::uint64_t value;
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(p) : "memory");
    return value;
}

GRADWIRE_DEVICE void store_relaxed(std::uint64_t* p, std::uint64_t value) {
    asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(p), "l"(value) : "memory");
}

GRADWIRE_DEVICE void pause() {
    __nanosleep(64);
}

#else

inline std::uint64_t load_acquire(const std::uint64_t* p) {
    return *static_cast<const volatile std::uint64_t*>(p);
}

inline std::uint32_t load_acquire(const std::uint32_t* p) {
    return *static_cast<const volatile std::uint32_t*>(p);
}

inline void store_release(std::uint64_t* p, std::uint64_t value) {
    *static_cast<volatile std::uint64_t*>(p) = value;
}

inline void store_release(std::uint32_t* p, std::uint32_t value) {
    *static_cast<volatile std::uint32_t*>(p) = value;
}

inline std::uint64_t load_relaxed(const std::uint64_t* p) {
    return load_acquire(p);
}

inline void store_relaxed(std::uint64_t* p, std::uint64_t value) {
    store_release(p, value);
}

inline void pause() {
    emulation::give_way();
}

#endif

GRADWIRE_DEVICE unsigned lane() {
    return threadIdx.x % kWarp;
}

GRADWIRE_DEVICE unsigned warp() {
    return threadIdx.x / kWarp;
}

}  // namespace cuda
}  // namespace gradwire
