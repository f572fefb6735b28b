// Arrays of one loop either coincide exactly or do not overlap (the Python layer checks), so no
// iteration depends on another; compilers need to be told.
#pragma once

#if defined(__clang__)
#define GRADWIRE_INDEPENDENT_ITERATIONS _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define GRADWIRE_INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#else
#define GRADWIRE_INDEPENDENT_ITERATIONS
#endif
