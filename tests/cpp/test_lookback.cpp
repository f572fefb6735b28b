// Look-backs over more tiles than are ever in flight on the emulator: words are filled in by hand.
#include <cstdint>
#include <vector>

#include "check.h"
#include "lookback.h"

namespace {

using gradwire::Lookback;
using std::uint32_t;
using std::uint64_t;

constexpr uint32_t kUse = 3;

uint64_t own_sum_of(uint32_t tile) {
    return (uint64_t{1} << 33) + tile;
}

uint64_t sum_before(uint32_t tile) {
    uint64_t sum = 0;
    for (uint32_t t = 0; t < tile; ++t) {
        sum += own_sum_of(t);
    }
    return sum;
}

void look_back_kernel(Lookback look, uint32_t tile, uint64_t* before) {
    const uint64_t sum = gradwire::look_back(look, tile, own_sum_of(tile));
    if (gradwire::lane() == 0) {
        *before = sum;
    }
}

// What the blocks of all tiles before would do, the last first; all after some time.
void publish(Lookback look, uint32_t whole, uint32_t tile) {
    for (uint32_t t = tile; t-- > whole;) {
        for (uint32_t rounds = 0; rounds < t % 7; ++rounds) {
            gradwire::pause();
        }
        if (threadIdx.x == 0) {
            gradwire::store_relaxed(look.words + t,
                                    t == whole ? look.whole_sum(sum_before(t) + own_sum_of(t))
                                               : look.own_sum(own_sum_of(t)));
        }
    }
}

void two_blocks_kernel(Lookback look, uint32_t whole, uint32_t tile, uint64_t* before) {
    if (blockIdx.x == 0) {
        look_back_kernel(look, tile, before);
    } else {
        publish(look, whole, tile);
    }
}

// Words as earlier uses leave them.
std::vector<uint64_t> used_words(const Lookback& look, uint32_t count) {
    Lookback earlier = look;
    --earlier.use;
    std::vector<uint64_t> words(count);
    for (uint32_t t = 0; t < count; ++t) {
        words[t] = t % 3 == 0 ? 0 : t % 3 == 1 ? earlier.own_sum(t) : earlier.whole_sum(t);
    }
    return words;
}

}  // namespace

TEST(look_back_adds_up_to_the_last_whole_sum_however_far_it_is) {
    for (const uint32_t tile : {1U, 2U, 32U, 33U, 64U, 65U, 200U}) {
        for (const uint32_t distance : {1U, 2U, 31U, 32U, 33U, 63U, 64U, 65U, 100U, 200U}) {
            if (distance > tile) {
                continue;
            }
            Lookback look{nullptr, nullptr, kUse};
            std::vector<uint64_t> words = used_words(look, tile + 1);
            look.words = words.data();
            uint64_t before = 0;
            gradwire::emulation::launch({2, 1, 1}, {gradwire::kWarp, 1, 1}, two_blocks_kernel, look,
                                        tile - distance, tile, &before);
            CHECK(before == sum_before(tile));
            CHECK(words[tile] == look.whole_sum(sum_before(tile + 1)));
        }
    }
}

TEST(the_first_tile_waits_for_nobody) {
    uint64_t word = 0, before = 1;
    const Lookback look{&word, nullptr, kUse};
    gradwire::emulation::launch({1, 1, 1}, {gradwire::kWarp, 1, 1}, look_back_kernel, look, 0U,
                                &before);
    CHECK(before == 0);
    CHECK(word == look.whole_sum(own_sum_of(0)));
}
