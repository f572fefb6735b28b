// Selection of entries by magnitude (see magnitude.h).
//
// Deterministic: the result depends on the input bits alone. Ties go to the lowest index. Output is
// in index order. Zeros of either sign are never selected. n < 2^32.
// Entries of an output buffer beyond `written` are scratch: their contents are unspecified.
//
// T is float, bfloat16, float16 or double (see types.h). Values come out as float.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/residual.h"
#include "gradwire/status.h"
#include "gradwire/types.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

struct Entries {  // room for `capacity` entries
    std::uint32_t* indices;
    float* values;
    std::uint64_t capacity;
};

struct Selection {
    std::uint64_t written;  // entries in the output buffers
    std::uint64_t found;    // entries that qualified; more than `written` if capacity was short
    float threshold;        // smallest selected magnitude, or what the operation documents
};

struct Workspace {  // aligned to 64
    void* memory;
    std::uint64_t bytes;
};

// Every x != 0 with |x| >= threshold. Reads x once.
template <typename T>
void select(const T* x, std::uint64_t n, float threshold, Entries out, Selection* result) noexcept;

// acc = residual + gradient (in this operand order) and select(acc, threshold), in one pass: 12
// bytes per element of float32 + 8 per entry. acc may be gradient itself if T is float; nothing
// else may overlap.
template <typename T>
void compensate_select(const T* gradient, const float* residual, std::uint64_t n, float threshold,
                       float* acc, Entries out, Selection* result) noexcept;

// The same with momentum correction (see residual.h): 20 bytes per element of float32.
template <typename T>
void momentum_select(const Momentum<T>& arrays, std::uint64_t n, float threshold, Entries out,
                     Selection* result) noexcept;

// Bytes of workspace that topk and its relatives need: O(k) + constant.
std::uint64_t topk_workspace(std::uint64_t n, std::uint64_t k) noexcept;

// The min(k, non-zeros) entries of largest magnitude. out.capacity must be at least min(k, n).
// threshold: the smallest selected magnitude if k were found, else 0. Reads x once if a sample of
// it (1/64) tells well enough where the k-th lies, else three to five times.
template <typename T>
Status topk(const T* x, std::uint64_t n, std::uint64_t k, Entries out, Workspace workspace,
            Selection* result) noexcept;

// acc = residual + gradient (in this operand order) and topk(acc, k). `floor` >= 0, a guess below
// the k-th magnitude (0: the sample tells one), changes the speed and never the result: 12 bytes
// per element of float32 when between k and 3k entries reach it, else 4 for topk(acc, k) more.
// Aliasing: compensate_select.
template <typename T>
Status compensate_topk(const T* gradient, const float* residual, std::uint64_t n, std::uint64_t k,
                       float floor, float* acc, Entries out, Workspace workspace,
                       Selection* result) noexcept;

// The same with momentum correction: 20 or 24 bytes per element of float32.
template <typename T>
Status momentum_topk(const Momentum<T>& arrays, std::uint64_t n, std::uint64_t k, float floor,
                     Entries out, Workspace workspace, Selection* result) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
