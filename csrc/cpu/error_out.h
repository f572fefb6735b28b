// Where a quantiser leaves what its codes miss. A long vector goes past the caches, where nobody
// reads it again; blocks begin anywhere, so it goes there 16 bytes at a time.
#pragma once

#include <cstdint>

#include "gradwire/isa.h"
#include "partial.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

class ErrorOut {
  public:
    ErrorOut() noexcept = default;
    // Of n elements; if it is the gradient itself, its lines are in the cache already.
    ErrorOut(float* p, const void* gradient, std::uint64_t n) noexcept
        : p_(p),
          streamed_(n >= kStreamed && p != gradient &&
                    reinterpret_cast<std::uintptr_t>(p) % 16 == 0) {}

    ErrorOut from(std::uint64_t begin) const noexcept {  // begin is a multiple of 16
        ErrorOut rest(*this);
        rest.p_ = p_ == nullptr ? nullptr : p_ + begin;
        return rest;
    }
    GRADWIRE_SIMD void put(std::uint64_t i, Floats x) const noexcept {
        if (streamed_) {
            stream_quarters(p_ + i, x);
        } else {
            store(p_ + i, x);
        }
    }
    GRADWIRE_SIMD void put_first(std::uint64_t i, std::uint64_t count, Floats x) const noexcept {
        store_partial(p_ + i, count, x);
    }
    void fill(std::uint64_t begin, std::uint64_t count, float value) const noexcept {
        for (std::uint64_t i = begin; i < begin + count; ++i) {
            p_[i] = value;
        }
    }

  private:
    float* p_ = nullptr;
    bool streamed_ = false;
};

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
