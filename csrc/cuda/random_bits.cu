// Writes 2 bytes per element; a thread draws the bits of eight.
#include <cstring>

#include "draws.h"
#include "queue.h"
#include "random_bits.h"

namespace gradwire {
inline namespace cuda {
namespace {

__global__ void __launch_bounds__(kThreads)
    random_bits_kernel(RandomStream stream, const std::uint32_t* step, std::uint64_t n,
                       std::uint16_t* out) {
    const std::uint64_t i = (std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kDrawn;
    if (i >= n) {
        return;
    }
    const Draw bits = draw(at_step(stream, step), i);
    if (i + kDrawn <= n && reinterpret_cast<std::uintptr_t>(out) % sizeof(uint4) == 0) {
        __stcs(reinterpret_cast<uint4*>(out + i),
               make_uint4(bits.word[0], bits.word[1], bits.word[2], bits.word[3]));
        return;
    }
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kDrawn; ++j) {
        if (i + j < n) {
            out[i + j] = static_cast<std::uint16_t>(bits.word[j / 2] >> (j % 2 * 16));
        }
    }
}

}  // namespace

void enqueue_random_bits(RandomStream stream, const std::uint32_t* step, std::uint64_t n,
                         std::uint16_t* out) noexcept {
    launch(blocks_for(n, kThreads * kDrawn), kThreads, random_bits_kernel, stream, step, n, out);
}

void random_bits(RandomStream stream, std::uint64_t n, std::uint16_t* out) noexcept {
    enqueue_random_bits(stream, nullptr, n, out);
}

}  // namespace cuda
}  // namespace gradwire
