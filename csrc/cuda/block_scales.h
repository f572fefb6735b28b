// Scales of blocks that do not lie inside chunks, in a pass of their own before the codes.
#pragma once

#include <cstdint>

#include "gradwire/quantize.h"
#include "gradwire/types.h"
#include "queue.h"
#include "warp_chunk.h"

namespace gradwire {
inline namespace cuda {

// Bytes that the following need to work in, aligned to 16; most often none.
std::uint64_t block_scales_workspace(std::uint64_t n, std::uint64_t block, bool sums) noexcept;

// As gradwire/quantize.h says.
template <typename Input>
void enqueue_block_scales(const Input& input, std::uint64_t n, std::uint64_t block, Scale scale,
                          float* scales, void* workspace) noexcept;

// Means of magnitudes, as gradwire/sign.h says.
template <typename Input>
void enqueue_block_means(const Input& input, std::uint64_t n, std::uint64_t block, float* scales,
                         void* workspace) noexcept;

}  // namespace cuda
}  // namespace gradwire
