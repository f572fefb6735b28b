// Every function of the core exists once for each instruction set, from the same source, in a
// namespace of its own: gradwire::generic, gradwire::avx2, gradwire::avx512. Nothing inline is
// shared between them, so code for one processor can never be called on another.
//
// A unit that is compiled with GRADWIRE_ISA=avx2 sees gradwire::avx2 as plain gradwire.
//
// gradwire::cuda (csrc/cuda) is one of them to whoever calls: the same declarations, for arrays in
// a GPU's memory.
#pragma once

#ifndef GRADWIRE_ISA
#define GRADWIRE_ISA generic
#endif

// What one thread of a GPU can call as well as the host.
#if defined(__CUDACC__)
#define GRADWIRE_BOTH __host__ __device__
#else
#define GRADWIRE_BOTH
#endif

namespace gradwire {

enum class Isa { generic, avx2, avx512 };

// True if this processor (and its operating system) runs the code of an instruction set.
inline bool runs(Isa isa) noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
    // F16C, which old compilers cannot ask for, is older than AVX2.
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                      __builtin_cpu_supports("bmi2");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    return isa == Isa::generic || (isa == Isa::avx2 && avx2) || (isa == Isa::avx512 && avx512);
#else
    return isa == Isa::generic;
#endif
}

}  // namespace gradwire
