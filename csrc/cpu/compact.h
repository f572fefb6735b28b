// Branch-light compaction: blocks without a hit cost one vectorised comparison; in blocks with one,
// every element is written and the write position advances only past hits.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/magnitude.h"
#include "gradwire/select.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kBlock = 32;
// Elements that a fused pass keeps in the first-level cache between its steps.
constexpr std::uint64_t kTile = 4096;

// Smallest magnitude that counts as "at least threshold" and is not zero.
inline std::uint32_t floor_magnitude(float threshold) noexcept {
    const std::uint32_t bits = magnitude(threshold);
    return bits == 0 ? 1 : bits;
}

// Magnitudes fit in a signed integer, which SSE2 can compare.
inline std::int32_t signed_magnitude(float value) noexcept {
    return static_cast<std::int32_t>(magnitude(value));
}

inline bool any_at_least(const float* block, std::int32_t floor) noexcept {
    std::int32_t hits = 0;
    for (std::uint64_t i = 0; i < kBlock; ++i) {
        hits |= -static_cast<std::int32_t>(signed_magnitude(block[i]) >= floor);
    }
    return hits != 0;
}

// Appends the elements of x[0..n) with magnitude >= floor (floor >= 1), `base` being the index of
// x[0], and returns the new count. Counts on when out is full, but writes no more.
inline std::uint64_t compact(const float* x, std::uint64_t n, std::uint64_t base,
                             std::uint32_t floor, const Entries& out,
                             std::uint64_t count) noexcept {
    const auto limit = static_cast<std::int32_t>(floor);
    std::uint64_t i = 0;
    for (; i + kBlock <= n; i += kBlock) {
        if (!any_at_least(x + i, limit)) {
            continue;
        }
        if (count + kBlock <= out.capacity) {
            for (std::uint64_t j = i; j < i + kBlock; ++j) {
                out.indices[count] = static_cast<std::uint32_t>(base + j);
                out.values[count] = x[j];
                count += static_cast<std::uint64_t>(signed_magnitude(x[j]) >= limit);
            }
            continue;
        }
        for (std::uint64_t j = i; j < i + kBlock; ++j) {
            if (signed_magnitude(x[j]) >= limit) {
                if (count < out.capacity) {
                    out.indices[count] = static_cast<std::uint32_t>(base + j);
                    out.values[count] = x[j];
                }
                ++count;
            }
        }
    }
    for (; i < n; ++i) {
        if (signed_magnitude(x[i]) >= limit) {
            if (count < out.capacity) {
                out.indices[count] = static_cast<std::uint32_t>(base + i);
                out.values[count] = x[i];
            }
            ++count;
        }
    }
    return count;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
