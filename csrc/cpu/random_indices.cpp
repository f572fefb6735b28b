#include "gradwire/random_indices.h"

#include <algorithm>

#include "gradwire/philox.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

constexpr std::uint64_t kWordBits = 64;

// (draw * n) >> 64 for n < 2^32, in 64-bit arithmetic.
std::uint64_t position(std::uint64_t draw, std::uint64_t n) noexcept {
    const std::uint64_t low = ((draw & 0xFFFFFFFFU) * n) >> 32;
    return ((draw >> 32) * n + low) >> 32;
}

std::uint64_t join(std::uint32_t low, std::uint32_t high) noexcept {
    return low | (static_cast<std::uint64_t>(high) << 32);
}

void mark(std::uint64_t n, std::uint64_t wanted, RandomKey random, std::uint64_t* bitmap) noexcept {
    std::uint64_t marked = 0;
    for (std::uint64_t block = 0; marked < wanted; ++block) {
        const auto words = philox4x32({static_cast<std::uint32_t>(block),
                                       static_cast<std::uint32_t>(block >> 32), random.step, 0},
                                      {random.seed, random.key});
        const std::uint64_t draws[] = {join(words[0], words[1]), join(words[2], words[3])};
        for (const std::uint64_t draw : draws) {
            if (marked == wanted) {
                break;
            }
            const std::uint64_t place = position(draw, n);
            std::uint64_t& word = bitmap[place / kWordBits];
            const std::uint64_t bit = std::uint64_t{1} << (place % kWordBits);
            marked += static_cast<std::uint64_t>((word & bit) == 0);
            word |= bit;
        }
    }
}

}  // namespace

std::uint64_t random_indices_words(std::uint64_t n) noexcept {
    return (n + kWordBits - 1) / kWordBits;
}

void random_indices(std::uint64_t n, std::uint64_t k, RandomKey random, std::uint64_t* bitmap,
                    std::uint32_t* out) noexcept {
    const bool complement = k > n - k;
    mark(n, std::min(k, n - k), random, bitmap);
    const std::uint64_t flip = complement ? ~std::uint64_t{0} : 0;
    std::uint64_t count = 0;
    for (std::uint64_t w = 0; count < k; ++w) {
        // Bits beyond n in the last word are never reached: count is k before them.
        for (std::uint64_t word = bitmap[w] ^ flip; word != 0 && count < k; word &= word - 1) {
            const auto bit = static_cast<std::uint64_t>(__builtin_ctzll(word));
            out[count] = static_cast<std::uint32_t>(w * kWordBits + bit);
            ++count;
        }
    }
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
