// The scale of one block of everything by sums of float64, in the order of gradwire/quantize.h and
// gradwire/sign.h, for vectors whose n / 16 additions one after the other would take too long.
#pragma once

#include <cstdint>

#include "queue.h"
#include "terms.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {

// Below, one thread block is as quick.
constexpr std::uint64_t kLong = std::uint64_t{1} << 16;

// Bytes.
std::uint64_t long_sum_workspace(std::uint64_t n) noexcept;

// n > 0; workspace: aligned to 16 bytes.
template <typename Term, typename Input>
void enqueue_long_sum(const Input& input, std::uint64_t n, float* scale, void* workspace) noexcept;

}  // namespace cuda
}  // namespace gradwire
