// 8 bytes per element for blocks up to 2^13, 16 up to 2^19, 24 up to 2^24.
//
// A block of threads holds 64 leaves of 128 elements, each leaf in the lanes of one warp, four
// elements in each; a warp has eight leaves in its registers. Stages within a leaf are registers
// and shuffles; between leaves of a warp, registers; between warps, one exchange through shared
// memory, after which a thread holds one leaf of each former warp. First the leaves lie side by
// side, for the stages of up to 2^13 elements. Of longer blocks they then lie apart, 64 of them
// for 6 stages, until all are done.
//
// The last stages come with as many leaves as they can, and the first pass has what is left (at
// least 2^8): so no leaves are missing in a pass, however few blocks there are.
#include "gradwire/philox.h"
#include "queue.h"
#include "transform.h"
#include "vectors.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kLeafStages = 7;
constexpr unsigned kLeaf = 1U << kLeafStages;
constexpr unsigned kHeld = 8;  // leaves in the registers of a warp
constexpr unsigned kWarps = kThreads / kWarp;
constexpr unsigned kLeaves = kHeld * kWarps;
constexpr unsigned kOwnStages = 10;    // of the leaves of a warp, side by side
constexpr unsigned kApartStages = 6;   // of the leaves of a block of threads
constexpr unsigned kFirstStages = 13;  // and within them
constexpr unsigned kTile = kLeaves * kLeaf;
static_assert(kLeaf == kWarp * kQuad && kTile == 1U << kFirstStages);

constexpr std::uint32_t kSignBit = 0x80000000U;

using Held = Quad<float>[kHeld];

// One pass over x: of which elements its blocks of threads hold the leaves, and what they do.
struct Pass {
    std::uint64_t n;
    std::uint64_t apart;  // elements from one leaf to the next
    unsigned stages;      // of leaves side by side; of those apart it is always 6
    bool before;          // signs
    bool after;
    SignStream stream;
    const std::uint32_t* step;
    float factor;

    // The first element of leaf 0.
    GRADWIRE_DEVICE std::uint64_t first() const {
        const std::uint64_t columns = apart / kLeaf;  // a power of two
        const std::uint64_t row = blockIdx.x / columns;
        return row * kLeaves * apart + blockIdx.x % columns * kLeaf;
    }
};

// ---- signs ----

// The word that has the signs of elements 32 w to 32 w + 31 of a leaf.
GRADWIRE_DEVICE std::uint32_t sign_word(const Pass& pass, std::uint64_t leaf, unsigned w) {
    const std::uint32_t step = pass.step == nullptr ? pass.stream.step : *pass.step;
    const auto random =
        philox4x32({static_cast<std::uint32_t>(leaf), static_cast<std::uint32_t>(leaf >> 32), step,
                    pass.stream.stream},
                   {pass.stream.seed, pass.stream.key});
    const std::uint32_t low = (w & 1U) == 0 ? random[0] : random[1];
    const std::uint32_t high = (w & 1U) == 0 ? random[2] : random[3];
    return (w & 2U) == 0 ? low : high;
}

// Changes signs in the leaves that a warp holds, `apart` elements from each other.
GRADWIRE_DEVICE void flip(Held& held, const Pass& pass, std::uint64_t first, std::uint64_t apart) {
    // Each lane has one of the four words of one of the eight leaves.
    const std::uint64_t leaf = (first + lane() / 4 * apart) / kLeaf;
    const std::uint32_t own = sign_word(pass, leaf, lane() % 4);
    const unsigned shift = lane() % 8 * kQuad;
    GRADWIRE_UNROLL
    for (unsigned h = 0; h < kHeld; ++h) {
        const int from = static_cast<int>(4 * h + lane() / 8);
        const std::uint32_t bits = __shfl_sync(kFullWarp, own, from) >> shift;
        for (unsigned j = 0; j < kQuad; ++j) {
            float& value = held[h].at[j];
            value = __uint_as_float(__float_as_uint(value) ^ (bits << (31 - j) & kSignBit));
        }
    }
}

// ---- stages ----

GRADWIRE_DEVICE void butterfly(float& a, float& b) {
    const float sum = a + b;
    b = a - b;
    a = sum;
}

// The stages of leaves 1, 2 and 4 places apart in `held`, as far as there are.
GRADWIRE_DEVICE void held_stages(Held& held, unsigned stages) {
    GRADWIRE_UNROLL
    for (unsigned s = 0; s < 3; ++s) {
        if (s >= stages) {
            return;
        }
        GRADWIRE_UNROLL
        for (unsigned h = 0; h < kHeld; ++h) {
            if ((h >> s & 1U) == 0) {
                for (unsigned j = 0; j < kQuad; ++j) {
                    butterfly(held[h].at[j], held[h + (1U << s)].at[j]);
                }
            }
        }
    }
}

GRADWIRE_DEVICE void leaf_stages(Held& held, unsigned stages) {
    GRADWIRE_UNROLL
    for (unsigned h = 0; h < kHeld; ++h) {
        auto& v = held[h].at;
        butterfly(v[0], v[1]);
        butterfly(v[2], v[3]);
        if (stages > 1) {
            butterfly(v[0], v[2]);
            butterfly(v[1], v[3]);
        }
    }
    GRADWIRE_UNROLL
    for (unsigned s = 2; s < kLeafStages; ++s) {
        if (s >= stages) {
            return;
        }
        const unsigned distance = 1U << (s - 2);
        const std::uint32_t second = (lane() & distance) != 0 ? kSignBit : 0;
        GRADWIRE_UNROLL
        for (unsigned h = 0; h < kHeld; ++h) {
            for (unsigned j = 0; j < kQuad; ++j) {
                float& value = held[h].at[j];
                const float other = __shfl_xor_sync(kFullWarp, value, static_cast<int>(distance));
                // a - b is a + (-b), to the bit.
                value = other + __uint_as_float(__float_as_uint(value) ^ second);
            }
        }
    }
}

struct Exchange {
    float4 quads[kTile / kQuad];
};

// Leaf h of warp w becomes leaf w of warp h.
GRADWIRE_DEVICE void exchange(Held& held, Exchange& room) {
    GRADWIRE_UNROLL
    for (unsigned h = 0; h < kHeld; ++h) {
        const auto& v = held[h].at;
        room.quads[(warp() * kHeld + h) * kWarp + lane()] = {v[0], v[1], v[2], v[3]};
    }
    __syncthreads();
    GRADWIRE_UNROLL
    for (unsigned h = 0; h < kHeld; ++h) {
        const float4 quad = room.quads[(h * kWarps + warp()) * kWarp + lane()];
        held[h] = {{quad.x, quad.y, quad.z, quad.w}};
    }
}

// ---- passes ----

GRADWIRE_DEVICE void load(Held& held, const float* x, std::uint64_t n, std::uint64_t first,
                          std::uint64_t apart) {
    const std::uint64_t own = first + lane() * kQuad;
    if (in_words(x) && first + (kHeld - 1) * apart + kLeaf <= n) {
        GRADWIRE_UNROLL
        for (unsigned h = 0; h < kHeld; ++h) {
            held[h] = load_whole_quad(x, own + h * apart);
        }
    } else {
        GRADWIRE_UNROLL
        for (unsigned h = 0; h < kHeld; ++h) {
            held[h] = load_quad(x, own + h * apart, n);
        }
    }
}

GRADWIRE_DEVICE void store(const Held& held, float* out, const Pass& pass, std::uint64_t first,
                           std::uint64_t apart) {
    GRADWIRE_UNROLL
    for (unsigned h = 0; h < kHeld; ++h) {
        Quad<float> quad = held[h];
        for (unsigned j = 0; j < kQuad; ++j) {
            quad.at[j] = quad.at[j] * pass.factor;
        }
        store_quad(out, first + h * apart + lane() * kQuad, pass.n, quad);
    }
}

// Blocks up to the leaves of one warp: warps have nothing to do with each other.
__global__ void __launch_bounds__(kThreads, 4) short_kernel(const float* x, Pass pass, float* out) {
    const std::uint64_t first = std::uint64_t{blockIdx.x} * kTile + warp() * (kHeld * kLeaf);
    Held held;
    load(held, x, pass.n, first, kLeaf);
    if (pass.before) {
        flip(held, pass, first, kLeaf);
    }
    leaf_stages(held, pass.stages);
    held_stages(held, pass.stages < kLeafStages ? 0 : pass.stages - kLeafStages);
    if (pass.after) {
        // A factor above 0 and signs can change places.
        flip(held, pass, first, kLeaf);
    }
    store(held, out, pass, first, kLeaf);
}

template <bool side_by_side>
__global__ void __launch_bounds__(kThreads, 4) tile_kernel(const float* x, Pass pass, float* out) {
    GRADWIRE_SHARED(Exchange, room);
    const std::uint64_t apart = side_by_side ? kLeaf : pass.apart;
    const std::uint64_t first = pass.first();
    const std::uint64_t own = first + warp() * kHeld * apart;
    Held held;
    load(held, x, pass.n, own, apart);
    unsigned upper = 3;
    if (side_by_side) {
        if (pass.before) {
            flip(held, pass, own, kLeaf);
        }
        leaf_stages(held, kLeafStages);
        held_stages(held, pass.stages - kLeafStages);
        upper = pass.stages < kOwnStages ? 0 : pass.stages - kOwnStages;
    } else {
        held_stages(held, 3);
    }
    exchange(held, room);
    held_stages(held, upper);
    const std::uint64_t exchanged = first + warp() * apart;
    if (pass.after) {
        flip(held, pass, exchanged, kWarps * apart);
    }
    store(held, out, pass, exchanged, kWarps * apart);
}

// float32(1 / sqrt(2^stages)).
float inverse_root(unsigned stages) noexcept {
    constexpr float kRootOfHalf = 0x1.6A09E6p-1F;
    const float root = static_cast<float>(std::uint64_t{1} << (stages / 2));
    return (stages % 2 == 0 ? 1.0F : kRootOfHalf) / root;
}

unsigned stages_of(std::uint64_t block) noexcept {
    unsigned stages = 0;
    while (block >> stages > 1) {
        ++stages;
    }
    return stages;
}

}  // namespace

void enqueue_hadamard(const float* x, std::uint64_t n, std::uint64_t block, Signs signs,
                      SignStream stream, const std::uint32_t* step, float* out) noexcept {
    const unsigned stages = stages_of(block);
    const float factor = inverse_root(stages);
    const bool before = signs == Signs::before;
    const bool after = signs == Signs::after;
    if (stages <= kOwnStages) {
        const Pass pass{n, kLeaf, stages, before, after, stream, step, factor};
        launch(blocks_for(n, kTile), kThreads, short_kernel, x, pass, out);
        return;
    }
    const unsigned more =
        stages <= kFirstStages ? 0 : (stages - kFirstStages + kApartStages - 1) / kApartStages;
    const unsigned first = stages - more * kApartStages;
    Pass pass{n, kLeaf, first, before, after && more == 0, stream, step, more == 0 ? factor : 1.0F};
    launch(blocks_for(n, kTile), kThreads, tile_kernel<true>, x, pass, out);
    pass.before = false;
    for (unsigned done = first; done < stages; done += kApartStages) {
        const bool last = done + kApartStages == stages;
        pass.apart = std::uint64_t{1} << done;
        pass.after = after && last;
        pass.factor = last ? factor : 1.0F;
        // The block, and so n, is a multiple of what the leaves of these passes span.
        launch(static_cast<unsigned>(n / kTile), kThreads, tile_kernel<false>,
               static_cast<const float*>(out), pass, out);
    }
}

void hadamard(const float* x, std::uint64_t n, std::uint64_t block, Signs signs, SignStream stream,
              float* out) noexcept {
    enqueue_hadamard(x, n, block, signs, stream, nullptr, out);
}

}  // namespace cuda
}  // namespace gradwire
