#include "gradwire/transform.h"

#include "float_environment.h"
#include "gradwire/philox.h"
#include "parallel.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// One block of Philox has signs for a leaf.
constexpr std::uint64_t kLeaf = 128;
constexpr std::uint64_t kRows = kLeaf / kLanes;

// Rows that are combined at once: half of the registers, the others are for what is on its way.
constexpr unsigned kAtOnce = kFloatsInRegisters / 2 < kRows ? kFloatsInRegisters / 2 : kRows;

// ---- signs ----

constexpr std::uint32_t kSignBit = 0x80000000U;

struct LeafSigns {
    std::uint32_t words[kLeaf / 32];
};

LeafSigns signs_of_leaf(std::uint64_t leaf, SignStream stream) noexcept {
    const auto random =
        philox4x32({static_cast<std::uint32_t>(leaf), static_cast<std::uint32_t>(leaf >> 32),
                    stream.step, stream.stream},
                   {stream.seed, stream.key});
    return {{random[0], random[1], random[2], random[3]}};
}

// Lanes whose bit is set change their sign.
GRADWIRE_SIMD Floats flip(Floats x, Mask minus) noexcept {
    return as_floats(as_words(x) ^ choose(minus, words(kSignBit), words(0)));
}

GRADWIRE_SIMD Floats flip_row(Floats x, const LeafSigns& signs, std::uint64_t row) noexcept {
    return flip(x, static_cast<Mask>(signs.words[row / 2] >> (row % 2 * kLanes)));
}

void flip_leaf(float* x, const LeafSigns& signs) noexcept {
    for (std::uint64_t row = 0; row < kRows; ++row) {
        store(x + row * kLanes, flip_row(load(x + row * kLanes), signs, row));
    }
}

// ---- stages ----

// Elements `distance` lanes apart: a, b -> a + b, a - b.
template <unsigned distance>
GRADWIRE_SIMD Floats lane_stage(Floats x) noexcept {
    constexpr Mask kSecond = distance == 1   ? 0xAAAA
                             : distance == 2 ? 0xCCCC
                             : distance == 4 ? 0xF0F0
                                             : 0xFF00;
    return exchange_lanes<distance>(x) + flip(x, kSecond);
}

GRADWIRE_SIMD void butterfly(Floats& a, Floats& b) noexcept {
    const Floats sum = a + b;
    b = a - b;
    a = sum;
}

// The stages of rows 1, 2, 4, ... rows / 2 apart.
template <unsigned rows>
GRADWIRE_SIMD void row_stages(Floats (&row)[rows]) noexcept {
    for (unsigned distance = 1; distance < rows; distance *= 2) {
        for (unsigned first = 0; first < rows; ++first) {
            if ((first & distance) == 0) {
                butterfly(row[first], row[first + distance]);
            }
        }
    }
}

// The stages of one leaf as far as they are shorter than the block.
void transform_leaf(const float* x, std::uint64_t block, const LeafSigns* signs, float factor,
                    float* out) noexcept {
    Floats row[kRows];
    for (std::uint64_t r = 0; r < kRows; ++r) {
        Floats values = load(x + r * kLanes);
        if (signs != nullptr) {
            values = flip_row(values, *signs, r);
        }
        values = lane_stage<1>(values);
        values = block > 2 ? lane_stage<2>(values) : values;
        values = block > 4 ? lane_stage<4>(values) : values;
        values = block > 8 ? lane_stage<8>(values) : values;
        row[r] = values;
    }
    for (std::uint64_t distance = 1; distance * kLanes < block && distance < kRows; distance *= 2) {
        for (std::uint64_t first = 0; first < kRows; ++first) {
            if ((first & distance) == 0) {
                butterfly(row[first], row[first + distance]);
            }
        }
    }
    for (std::uint64_t r = 0; r < kRows; ++r) {
        store(out + r * kLanes, row[r] * floats(factor));
    }
}

// The stages between the first `columns` elements of `rows` pieces of x, which lie `size` elements
// apart, times `factor`.
template <unsigned rows>
void combine_pieces(float* x, std::uint64_t size, std::uint64_t columns, float factor) noexcept {
    for (std::uint64_t column = 0; column < columns; column += kLanes) {
        Floats row[rows];
        for (unsigned r = 0; r < rows; ++r) {
            row[r] = load(x + column + r * size);
        }
        row_stages(row);
        for (unsigned r = 0; r < rows; ++r) {
            store(x + column + r * size, row[r] * floats(factor));
        }
    }
}

// The whole of a leaf's stages, the common case.
void transform_whole_leaf(const float* x, const LeafSigns* signs, float* out) noexcept {
    constexpr std::uint64_t kPart = kAtOnce * kLanes;
    for (std::uint64_t begin = 0; begin < kRows; begin += kAtOnce) {
        Floats row[kAtOnce];
        for (std::uint64_t r = 0; r < kAtOnce; ++r) {
            Floats values = load(x + (begin + r) * kLanes);
            if (signs != nullptr) {
                values = flip_row(values, *signs, begin + r);
            }
            row[r] = lane_stage<8>(lane_stage<4>(lane_stage<2>(lane_stage<1>(values))));
        }
        row_stages(row);
        for (std::uint64_t r = 0; r < kAtOnce; ++r) {
            store(out + (begin + r) * kLanes, row[r]);
        }
    }
    for (std::uint64_t size = kPart; size < kLeaf; size *= 2) {
        for (std::uint64_t begin = 0; begin < kLeaf; begin += 2 * size) {
            combine_pieces<2>(out + begin, size, size, 1.0F);
        }
    }
}

// float32(1 / sqrt(block)), for a power of two.
float inverse_root(std::uint64_t block) noexcept {
    constexpr float kRootOfHalf = 0x1.6A09E6p-1F;
    const auto stages = static_cast<unsigned>(__builtin_ctzll(block));
    const float root = static_cast<float>(std::uint64_t{1} << (stages / 2));
    return (stages % 2 == 0 ? 1.0F : kRootOfHalf) / root;
}

// ---- blocks ----

// Larger blocks are shared by all threads; up to here, each has blocks of its own.
constexpr std::uint64_t kLargest = 2 * kPart;

struct Transform {
    Signs signs;
    SignStream stream;
    std::uint64_t block;
    float factor;  // applied by the last stages of a block

    float factor_at(std::uint64_t size) const noexcept { return size == block ? factor : 1.0F; }

    // All stages within `size` <= block elements, a multiple of kLeaf; element number `first` is
    // the first. Recursive: what one call works on comes from memory once and then stays in the
    // cache that it fits into, whichever that is.
    void stages_within(const float* x, std::uint64_t size, std::uint64_t first,
                       float* out) const noexcept {
        if (size == kLeaf) {
            leaf(x, first, out);
            return;
        }
        const std::uint64_t piece = size / pieces_of(size);
        for (std::uint64_t begin = 0; begin < size; begin += piece) {
            stages_within(x + begin, piece, first + begin, out + begin);
        }
        combine(out, size, 0, piece);
    }

    // The same by several threads, for a large block.
    void stages_in_parallel(const float* x, std::uint64_t size, std::uint64_t first,
                            float* out) const noexcept {
        const std::uint64_t piece = size / pieces_of(size);
        for_each_part({size, piece, pieces_of(size)}, [=](std::uint64_t part) {
            const std::uint64_t begin = part * piece;
            stages_within(x + begin, piece, first + begin, out + begin);
        });
        in_parallel(piece, kLanes, [=](std::uint64_t begin, std::uint64_t end) {
            combine(out, size, begin, end);
        });
    }

    static std::uint64_t pieces_of(std::uint64_t size) noexcept {
        const std::uint64_t leaves = size / kLeaf;  // a power of two
        return leaves < kAtOnce ? leaves : kAtOnce;
    }

    // The stages between the pieces of `size` elements, in columns [begin, end) of each.
    void combine(float* out, std::uint64_t size, std::uint64_t begin,
                 std::uint64_t end) const noexcept {
        const std::uint64_t pieces = pieces_of(size);
        const float last = factor_at(size);
        if (pieces == 2) {
            combine_pieces<2>(out + begin, size / 2, end - begin, last);
        } else if (pieces == 4) {
            combine_pieces<4>(out + begin, size / 4, end - begin, last);
        } else {
            combine_pieces<8>(out + begin, size / 8, end - begin, last);
        }
    }

    // x and out may be a copy of the elements that `first` numbers.
    void leaf(const float* x, std::uint64_t first, float* out) const noexcept {
        LeafSigns drawn{};
        if (signs == Signs::before) {
            drawn = signs_of_leaf(first / kLeaf, stream);
        }
        const LeafSigns* const flipped = signs == Signs::before ? &drawn : nullptr;
        if (block > kLeaf) {
            transform_whole_leaf(x, flipped, out);
        } else {
            transform_leaf(x, block, flipped, factor, out);
        }
    }

    void signs_after(float* out, std::uint64_t size, std::uint64_t first) const noexcept {
        if (signs == Signs::after) {
            for (std::uint64_t begin = 0; begin < size; begin += kLeaf) {
                flip_leaf(out + begin, signs_of_leaf((first + begin) / kLeaf, stream));
            }
        }
    }

    // Elements behind the last whole leaf: blocks are shorter then, and zeros do not mix with them.
    void tail(const float* x, std::uint64_t count, std::uint64_t first, float* out) const noexcept {
        float whole[kLeaf] = {};
        for (std::uint64_t i = 0; i < count; ++i) {
            whole[i] = x[i];
        }
        leaf(whole, first, whole);
        signs_after(whole, kLeaf, first);
        for (std::uint64_t i = 0; i < count; ++i) {
            out[i] = whole[i];
        }
    }
};

}  // namespace

void hadamard(const float* x, std::uint64_t n, std::uint64_t block, Signs signs, SignStream stream,
              float* out) noexcept {
    const IeeeArithmetic ieee;
    const Transform transform{signs, stream, block, inverse_root(block)};
    const std::uint64_t step = block < kLeaf ? kLeaf : block;
    const std::uint64_t whole = n / step * step;
    if (threads() > 1 && step > kLargest) {
        for (std::uint64_t begin = 0; begin < whole; begin += step) {
            transform.stages_in_parallel(x + begin, step, begin, out + begin);
        }
        in_parallel(whole, kLeaf, [=](std::uint64_t begin, std::uint64_t end) {
            transform.signs_after(out + begin, end - begin, begin);
        });
    } else {
        in_parallel(whole, step, [=](std::uint64_t begin, std::uint64_t end) {
            for (; begin < end; begin += step) {
                transform.stages_within(x + begin, step, begin, out + begin);
                transform.signs_after(out + begin, step, begin);
            }
        });
    }
    if (whole < n) {
        transform.tail(x + whole, n - whole, whole, out + whole);
    }
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
