// Random bits of elements (gradwire/random_bits.h): whole blocks of Philox, which serve eight
// elements each.
#pragma once

#include <cstdint>

#include "gradwire/philox.h"
#include "gradwire/random_bits.h"
#include "simt.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kDrawn = 8;  // elements of a block

// The bits of 8 successive elements, two in a word, the first one in the low half.
struct Draw {
    std::uint32_t word[kDrawn / 2];
};

// The stream of this step: the one in device memory, if there is one there.
GRADWIRE_DEVICE RandomStream at_step(RandomStream stream, const std::uint32_t* step) {
    if (step != nullptr) {
        stream.step = *step;
    }
    return stream;
}

GRADWIRE_DEVICE Draw draw_block(const RandomStream& stream, std::uint64_t block) {
    const auto words =
        philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                    stream.step, stream.place},
                   {stream.seed, stream.key});
    return {{words[0], words[1], words[2], words[3]}};
}

// The last elements - `skipped` of them - of one block, and the first ones of the next.
GRADWIRE_DEVICE Draw join_draws(const Draw& block, const Draw& next, unsigned skipped) {
    std::uint32_t words[kDrawn];
    GRADWIRE_UNROLL
    for (unsigned i = 0; i < kDrawn / 2; ++i) {
        words[i] = block.word[i];
        words[i + kDrawn / 2] = next.word[i];
    }
    if ((skipped & 4U) != 0) {
        GRADWIRE_UNROLL
        for (unsigned i = 0; i + 2 < kDrawn; ++i) {
            words[i] = words[i + 2];
        }
    }
    if ((skipped & 2U) != 0) {
        GRADWIRE_UNROLL
        for (unsigned i = 0; i + 1 < kDrawn; ++i) {
            words[i] = words[i + 1];
        }
    }
    if ((skipped & 1U) != 0) {
        GRADWIRE_UNROLL
        for (unsigned i = 0; i + 1 < kDrawn; ++i) {
            words[i] = words[i] >> 16 | words[i + 1] << 16;
        }
    }
    return {{words[0], words[1], words[2], words[3]}};
}

// Of the elements from number i of the arrays on, i being a multiple of 8.
GRADWIRE_DEVICE Draw draw(const RandomStream& stream, std::uint64_t i) {
    const std::uint64_t element = stream.first + i;
    const Draw first = draw_block(stream, element / kDrawn);
    const auto skipped = static_cast<unsigned>(stream.first % kDrawn);  // alike in all threads
    if (skipped == 0) {
        return first;
    }
    return join_draws(first, draw_block(stream, element / kDrawn + 1), skipped);
}

}  // namespace cuda
}  // namespace gradwire
