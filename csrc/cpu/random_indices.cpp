#include "gradwire/random_indices.h"

#include <algorithm>

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

constexpr std::uint64_t kWordBits = 64;

void mark(std::uint64_t n, std::uint64_t wanted, RandomKey random, std::uint64_t* bitmap) noexcept {
    std::uint64_t marked = 0;
    for (std::uint64_t block = 0; marked < wanted; ++block) {
        for (const std::uint64_t place : drawn_positions(random, block, n)) {
            if (marked == wanted) {
                break;
            }
            std::uint64_t& word = bitmap[place / kWordBits];
            const std::uint64_t bit = std::uint64_t{1} << (place % kWordBits);
            marked += static_cast<std::uint64_t>((word & bit) == 0);
            word |= bit;
        }
    }
}

}  // namespace

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
