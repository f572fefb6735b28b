// Selection of entries by magnitude (see magnitude.h).
//
// Deterministic: the result depends on the input bits alone. Ties go to the lowest index. Output is
// in index order. Zeros of either sign are never selected. n < 2^32.
// Entries of an output buffer beyond `written` are scratch: their contents are unspecified.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/status.h"

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

// Every x != 0 with |x| >= threshold. Reads x once: 4 bytes per element + 8 per entry.
void select(const float* x, std::uint64_t n, float threshold, Entries out,
            Selection* result) noexcept;

// acc = residual + gradient (in this operand order) and select(acc, threshold), in one pass:
// 12 bytes per element + 8 per entry. acc may be gradient itself; nothing else may overlap.
void compensate_select(const float* gradient, const float* residual, std::uint64_t n,
                       float threshold, float* acc, Entries out, Selection* result) noexcept;

// Bytes of workspace, aligned to 64, that topk and compensate_topk need for this k.
std::uint64_t topk_workspace(std::uint64_t k) noexcept;

// The min(k, non-zeros) entries of largest magnitude. out.capacity must be at least min(k, n).
// threshold: the smallest selected magnitude if k were found, else 0. Reads x twice (8 bytes per
// element); more often only when over k + 4096 entries share the 13 leading bits of the k-th.
Status topk(const float* x, std::uint64_t n, std::uint64_t k, Entries out, void* workspace,
            std::uint64_t workspace_bytes, Selection* result) noexcept;

// acc = residual + gradient (in this operand order) and topk(acc, k). `floor` >= 0, a guess below
// the k-th magnitude, changes the speed and never the result: 12 bytes per element when between k
// and 2k + 4096 entries reach it, else 16 (too low) or 20 (too high). Aliasing: compensate_select.
Status compensate_topk(const float* gradient, const float* residual, std::uint64_t n,
                       std::uint64_t k, float floor, float* acc, Entries out, void* workspace,
                       std::uint64_t workspace_bytes, Selection* result) noexcept;

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
