#include "compact.h"
#include "float_environment.h"
#include "gradwire/statistics.h"
#include "parallel.h"
#include "sources.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// Lane l of the result is the sum of the terms of the elements l, l + 16, ... of a tile.
template <typename T>
GRADWIRE_SIMD Doubles add_tile(const T* x, std::uint64_t n, unsigned order) noexcept {
    Doubles sums = doubles(0.0);
    if (order == 1) {
        for_all_lanes(x, n,
                      [&](Floats values) { sums = sums + widen(as_floats(magnitudes(values))); });
    } else {
        for_all_lanes(x, n, [&](Floats values) {
            const Doubles wide = widen(values);
            sums = sums + wide * wide;
        });
    }
    return sums;
}

double add_pairwise(Doubles sums) noexcept {
    alignas(64) double lanes[kLanes];
    store(lanes, sums);
    double half[kLanes / 2];
    for (std::uint64_t l = 0; l < kLanes / 2; ++l) {
        half[l] = lanes[2 * l] + lanes[2 * l + 1];
    }
    const double left = (half[0] + half[1]) + (half[2] + half[3]);
    const double right = (half[4] + half[5]) + (half[6] + half[7]);
    return left + right;
}

// Adds values pairwise, whatever their number: entry e of the stack is the sum of 2^e of them.
class PairwiseSum {
  public:
    // Adds the sum of 2^level values; so far there is a multiple of as many.
    void add(double sum, unsigned level) noexcept {
        unsigned entry = level;
        for (std::uint64_t carry = count_ >> level; (carry & 1U) != 0; carry >>= 1, ++entry) {
            sum = stack_[entry] + sum;
        }
        stack_[entry] = sum;
        count_ += std::uint64_t{1} << level;
    }
    double total() const noexcept {
        double sum = 0.0;
        unsigned entry = 0;
        for (std::uint64_t rest = count_; rest != 0; rest >>= 1, ++entry) {
            if ((rest & 1U) != 0) {
                sum = stack_[entry] + sum;
            }
        }
        return sum;
    }

  private:
    double stack_[64] = {};
    std::uint64_t count_ = 0;
};

// Tiles of a whole part: the pairwise sum of all tiles begins with those of the parts.
constexpr unsigned kPartLevel = 5;
static_assert(kPart == kTile << kPartLevel);

template <typename T>
double sum_of_part(const T* x, std::uint64_t n, unsigned order) noexcept {
    PairwiseSum total;
    for (std::uint64_t begin = 0; begin < n; begin += kTile) {
        const std::uint64_t size = n - begin < kTile ? n - begin : kTile;
        total.add(add_pairwise(add_tile(x + begin, size, order)), 0);
    }
    return total.total();
}

}  // namespace

template <typename T>
void norm(const T* x, std::uint64_t n, unsigned order, double* result) noexcept {
    const IeeeArithmetic ieee;
    constexpr std::uint64_t kPartsAtOnce = 256;
    PairwiseSum total;
    double of_parts[kPartsAtOnce];
    for (std::uint64_t begin = 0; begin < n; begin += kPartsAtOnce * kPart) {
        const std::uint64_t rest = n - begin;
        const std::uint64_t size = rest < kPartsAtOnce * kPart ? rest : kPartsAtOnce * kPart;
        const Parts parts = {size, kPart, (size + kPart - 1) / kPart};
        for_each_part(parts, [&](std::uint64_t part) {
            const T* const first = x + begin + parts.begin(part);
            of_parts[part] = sum_of_part(first, parts.end(part) - parts.begin(part), order);
        });
        for (std::uint64_t part = 0; part < parts.count; ++part) {
            total.add(of_parts[part], kPartLevel);
        }
    }
    const double sum = total.total();
    *result = order == 1 ? sum : __builtin_sqrt(sum);
}

#define GRADWIRE_INSTANTIATE(T) \
    template void norm(const T*, std::uint64_t, unsigned, double*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
