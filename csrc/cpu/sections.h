// Sections of an output buffer, which threads fill and which are pushed together afterwards.
#pragma once

#include <cstdint>
#include <cstring>

#include "gradwire/isa.h"
#include "gradwire/select.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

inline Entries section_of(const Entries& all, std::uint64_t begin, std::uint64_t size) noexcept {
    return {all.indices + begin, all.values + begin, size};
}

// Moves entries within their buffer; returns their number.
inline std::uint64_t move_entries(const Entries& all, std::uint64_t from, std::uint64_t count,
                                  std::uint64_t to) noexcept {
    if (from != to) {
        std::memmove(all.indices + to, all.indices + from, count * sizeof *all.indices);
        std::memmove(all.values + to, all.values + from, count * sizeof *all.values);
    }
    return count;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
