// Philox4x32-10 for 16 counters at a time: the random bits of 128 elements.
//
// Each generator lives in the even lanes of four registers, so that a product of 32 by 32 bits
// needs no shuffling; what the odd lanes hold means nothing.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "gradwire/philox.h"
#include "gradwire/random_bits.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

constexpr std::uint64_t kElementsOfBlock = 8;
constexpr std::uint64_t kDraw = 128;  // elements of one call

struct PhiloxLanes {
    Words word[4];
};

GRADWIRE_SIMD void philox_round(PhiloxLanes* counter, Words key0, Words key1) noexcept {
    const Words product0 = multiply_even(counter->word[0], words(0xD2511F53U));
    const Words product1 = multiply_even(counter->word[2], words(0xCD9E8D57U));
    counter->word[0] = odd_to_even(product1) ^ counter->word[1] ^ key0;
    counter->word[2] = odd_to_even(product0) ^ counter->word[3] ^ key1;
    counter->word[1] = product1;
    counter->word[3] = product0;
}

// Writes the blocks of 8 generators in the order 0, 1, ..., 7 if even lane 2j has block
// (j >> 1) + 4 (j & 1): what interleaving leaves behind is then in place.
GRADWIRE_SIMD void store_blocks(std::uint16_t* out, const PhiloxLanes& x) noexcept {
    const Words first = join_even(x.word[0], x.word[1]);
    const Words second = join_even(x.word[2], x.word[3]);
    auto* const p = reinterpret_cast<std::uint32_t*>(out);
    store(p, interleave_low(first, second));
    store(p + kLanes, interleave_high(first, second));
}

// The keys of all rounds; made once for many draws.
struct PhiloxKeys {
    Words first[kPhiloxRounds];
    Words second[kPhiloxRounds];

    PhiloxKeys(std::uint32_t seed, std::uint32_t key) noexcept {
        for (std::uint32_t round = 0; round < kPhiloxRounds; ++round) {
            first[round] = words(seed + round * 0x9E3779B9U);
            second[round] = words(key + round * 0xBB67AE85U);
        }
    }
};

// The bits of elements [element, element + 128); element is a multiple of 128.
GRADWIRE_SIMD void draw(const RandomStream& stream, const PhiloxKeys& keys, std::uint64_t element,
                        std::uint16_t* out) noexcept {
    alignas(64) static constexpr std::uint32_t kOrder[kLanes] = {0, 0, 4, 0, 1, 0, 5, 0,
                                                                 2, 0, 6, 0, 3, 0, 7, 0};
    // The 16 blocks differ in the low four bits only: nothing carries into the high word.
    const std::uint64_t block = element / kElementsOfBlock;
    const Words low = load(kOrder) + words(static_cast<std::uint32_t>(block));
    const Words high = words(static_cast<std::uint32_t>(block >> 32));
    const Words step = words(stream.step);
    const Words place = words(stream.place);
    // Side by side: while one half waits for its products, the other has work.
    PhiloxLanes x{{low, high, step, place}};
    PhiloxLanes y{{low + words(8), high, step, place}};
    for (unsigned round = 0; round < kPhiloxRounds; ++round) {
        philox_round(&x, keys.first[round], keys.second[round]);
        philox_round(&y, keys.first[round], keys.second[round]);
    }
    store_blocks(out, x);
    store_blocks(out + kDraw / 2, y);
}

// Room for the bits of any `size` elements.
constexpr std::uint64_t drawn_size(std::uint64_t size) noexcept {
    return (size + 2 * kDraw - 2) / kDraw * kDraw;
}

// Draws the bits of `size` elements into buffer, which has drawn_size(size), and returns where in
// it they begin.
inline const std::uint16_t* draw_elements(const RandomStream& stream, std::uint64_t element,
                                          std::uint64_t size, std::uint16_t* buffer) noexcept {
    const PhiloxKeys keys(stream.seed, stream.key);
    const std::uint64_t skipped = element % kDraw;
    for (std::uint64_t i = 0; i < skipped + size; i += kDraw) {
        draw(stream, keys, element - skipped + i, buffer + i);
    }
    return buffer + skipped;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
