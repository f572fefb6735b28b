// The symbols that gaps between indices are written as (gradwire/indices.h): some zeros, a one, and
// a field of bits. One at a time, for whoever has a stream of bits to put them in.
//
// A code is a class with
//   Symbol symbol(gap)          how a gap is written
//   Parsed field(zeros, word)   the gap and the bits of the field, whose bits begin the word; the
//                               result matters only if zeros <= most_zeros(), and as many bits as
//                               it claims are in the word
//   most_zeros()                more of them never stand before a one
//   typical_bits()              of one symbol, whatever they really are
#pragma once

#include <cstdint>

#include "gradwire/isa.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__CUDACC__)
#define GRADWIRE_SYMBOL GRADWIRE_BOTH inline
#else
#define GRADWIRE_SYMBOL inline __attribute__((always_inline))
#endif

namespace gradwire {
inline namespace GRADWIRE_ISA {

// The number of zeros below the lowest one; 64 if there is no one.
GRADWIRE_SYMBOL std::uint64_t trailing_zeros(std::uint64_t word) noexcept {
#if defined(__CUDA_ARCH__)
    return word == 0 ? 64 : static_cast<std::uint64_t>(__ffsll(static_cast<long long>(word)) - 1);
#else
    return word == 0 ? 64 : static_cast<std::uint64_t>(__builtin_ctzll(word));
#endif
}

// floor(log2(value)), value > 0.
GRADWIRE_SYMBOL std::uint64_t floor_log2(std::uint64_t value) noexcept {
#if defined(__CUDA_ARCH__)
    return 63 - static_cast<std::uint64_t>(__clzll(static_cast<long long>(value)));
#else
    return 63 - static_cast<std::uint64_t>(__builtin_clzll(value));
#endif
}

// The lowest `bits` % 64 bits.
GRADWIRE_SYMBOL std::uint64_t low_bits(std::uint64_t word, std::uint64_t bits) noexcept {
    return word & ((std::uint64_t{1} << (bits & 63)) - 1);
}

GRADWIRE_BOTH constexpr std::uint64_t bytes_of(std::uint64_t bits) noexcept {
    return (bits + 7) / 8;
}

struct Symbol {
    std::uint64_t zeros;
    std::uint64_t field;
    std::uint64_t field_bits;  // at most 37
};

struct Parsed {
    std::uint64_t gap;
    std::uint64_t bits;
};

// ---- Rice ----

constexpr std::uint64_t kParameterBits = 5;  // r < 32

// The r of a block of `count` > 0 gaps that add up to `sum`.
GRADWIRE_SYMBOL unsigned parameter_of_gaps(std::uint64_t count, std::uint64_t sum) noexcept {
    const std::uint64_t mean = sum / count;
    return mean == 0 ? 0 : static_cast<unsigned>(floor_log2(mean));
}

class Rice {
  public:
    GRADWIRE_BOTH Rice(std::uint64_t r, std::uint64_t length) noexcept
        : r_(r), most_zeros_(length >> r) {}

    GRADWIRE_SYMBOL Symbol symbol(std::uint32_t gap) const noexcept {
        return {gap >> r_, low_bits(gap, r_), r_};
    }
    GRADWIRE_SYMBOL Parsed field(std::uint64_t zeros, std::uint64_t word) const noexcept {
        return {zeros << r_ | low_bits(word, r_), r_};
    }
    GRADWIRE_BOTH std::uint64_t most_zeros() const noexcept { return most_zeros_; }
    GRADWIRE_BOTH std::uint64_t typical_bits() const noexcept { return r_ + 2; }

  private:
    std::uint64_t r_;
    std::uint64_t most_zeros_;
};

// ---- Elias ----

// floor(log2(length / count)), which most indices of a random set have about as logarithm of
// gap + 1; 0 if count is 0.
GRADWIRE_SYMBOL std::uint64_t typical_log2(std::uint64_t count, std::uint64_t length) noexcept {
    return count == 0 ? 0 : floor_log2(length / count);
}

class Gamma {
  public:
    GRADWIRE_BOTH explicit Gamma(std::uint64_t typical) noexcept : typical_bits_(2 * typical + 1) {}

    GRADWIRE_SYMBOL Symbol symbol(std::uint32_t gap) const noexcept {
        const std::uint64_t value = std::uint64_t{gap} + 1;
        const std::uint64_t log = floor_log2(value);
        return {log, low_bits(value, log), log};
    }
    GRADWIRE_SYMBOL Parsed field(std::uint64_t zeros, std::uint64_t word) const noexcept {
        const std::uint64_t highest = std::uint64_t{1} << (zeros & 63);
        return {(highest | low_bits(word, zeros)) - 1, zeros};
    }
    GRADWIRE_BOTH std::uint64_t most_zeros() const noexcept { return 32; }  // gap + 1 = 2^32
    GRADWIRE_BOTH std::uint64_t typical_bits() const noexcept { return typical_bits_; }

  private:
    std::uint64_t typical_bits_;
};

class Delta {
  public:
    GRADWIRE_BOTH explicit Delta(std::uint64_t typical) noexcept
        : typical_bits_(typical + 2 * floor_log2(typical + 1) + 1) {}

    GRADWIRE_SYMBOL Symbol symbol(std::uint32_t gap) const noexcept {
        const std::uint64_t value = std::uint64_t{gap} + 1;
        const std::uint64_t log = floor_log2(value);
        const std::uint64_t zeros = floor_log2(log + 1);
        return {zeros, low_bits(log + 1, zeros) | low_bits(value, log) << zeros, zeros + log};
    }
    GRADWIRE_SYMBOL Parsed field(std::uint64_t zeros, std::uint64_t word) const noexcept {
        // After five zeros up to 62 bits may be claimed. A log above 32 means a gap beyond any
        // range, whatever its bits are.
        const std::uint64_t highest = std::uint64_t{1} << (zeros & 63);
        const std::uint64_t log = (highest | low_bits(word, zeros)) - 1;
        const std::uint64_t value = low_bits(word >> (zeros & 63), log);
        return {((std::uint64_t{1} << (log & 63)) | value) - 1, zeros + log};
    }
    GRADWIRE_BOTH std::uint64_t most_zeros() const noexcept { return 5; }  // log + 1 = 33
    GRADWIRE_BOTH std::uint64_t typical_bits() const noexcept { return typical_bits_; }

  private:
    std::uint64_t typical_bits_;
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
