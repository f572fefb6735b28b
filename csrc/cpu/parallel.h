// A vector cut into parts that several threads work on, if there are several and it is long enough.
//
// Where parts end is up to the number of threads, so a part's result must not depend on it: parts
// are independent, or what they find is joined by an exact operation (maximum, integer sum).
#pragma once

#include <cstdint>

#include "float_environment.h"
#include "gradwire/isa.h"
#include "gradwire/status.h"
#include "gradwire/threads.h"
#include "simd.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {

// Elements for which waking a thread pays, and after which it asks for more: half a megabyte.
constexpr std::uint64_t kPart = std::uint64_t{1} << 17;

// [begin, end) of part number 0, 1, ...
struct Parts {
    std::uint64_t n;
    std::uint64_t size;  // of all parts but the last one
    std::uint64_t count;

    std::uint64_t begin(std::uint64_t part) const noexcept { return part * size; }
    std::uint64_t end(std::uint64_t part) const noexcept {
        return part + 1 == count ? n : (part + 1) * size;
    }
};

constexpr std::uint64_t round_up(std::uint64_t x, std::uint64_t unit) noexcept {
    return (x + unit - 1) / unit * unit;
}

// Parts that begin at multiples of `grain`: about kPart long, or everything for a single thread.
inline Parts small_parts(std::uint64_t n, std::uint64_t grain) noexcept {
    const std::uint64_t size = round_up(kPart, grain);
    if (threads() == 1 || n < 2 * size) {
        return {n, n, 1};
    }
    return {n, size, (n + size - 1) / size};
}

// One part for each thread, or fewer if they would be shorter than kPart.
inline Parts large_parts(std::uint64_t n, std::uint64_t grain) noexcept {
    const std::uint64_t most = n / round_up(kPart, grain);
    const auto wanted = static_cast<std::uint64_t>(threads());
    const std::uint64_t count = wanted < most ? wanted : most;
    if (count <= 1) {
        return {n, n, 1};
    }
    const std::uint64_t size = round_up((n + count - 1) / count, grain);
    return {n, size, (n + size - 1) / size};
}

// Calls work(part) for each part, in IEEE arithmetic whatever the modes of the threads are.
template <typename Work>
void for_each_part(const Parts& parts, Work work) noexcept {
#if defined(_OPENMP)
    const auto most = static_cast<std::uint64_t>(threads());
    const int count = static_cast<int>(most < parts.count ? most : parts.count);
    if (count > 1) {
#pragma omp parallel for num_threads(count) schedule(dynamic, 1)
        for (std::uint64_t part = 0; part < parts.count; ++part) {
            const IeeeArithmetic ieee;
            work(part);
            finish_streams();
        }
        return;
    }
#endif
    const IeeeArithmetic ieee;
    for (std::uint64_t part = 0; part < parts.count; ++part) {
        work(part);
    }
    finish_streams();
}

// Calls work(begin, end) for parts that begin at multiples of `grain`.
template <typename Work>
void in_parallel(std::uint64_t n, std::uint64_t grain, Work work) noexcept {
    const Parts parts = small_parts(n, grain);
    for_each_part(parts, [&](std::uint64_t part) { work(parts.begin(part), parts.end(part)); });
}

inline void raise_to(std::uint32_t* most, std::uint32_t value) noexcept {
    std::uint32_t seen = __atomic_load_n(most, __ATOMIC_RELAXED);
    while (seen < value && !__atomic_compare_exchange_n(most, &seen, value, true, __ATOMIC_RELAXED,
                                                        __ATOMIC_RELAXED)) {
    }
}

// The largest of what work(begin, end) returns for each part.
template <typename Work>
std::uint32_t largest_in_parallel(std::uint64_t n, std::uint64_t grain, Work work) noexcept {
    std::uint32_t most = 0;
    in_parallel(n, grain,
                [&](std::uint64_t begin, std::uint64_t end) { raise_to(&most, work(begin, end)); });
    return most;
}

// ok if it is for all parts.
template <typename Work>
Status check_in_parallel(std::uint64_t n, std::uint64_t grain, Work work) noexcept {
    return static_cast<Status>(
        largest_in_parallel(n, grain, [&](std::uint64_t begin, std::uint64_t end) {
            return static_cast<std::uint32_t>(work(begin, end));
        }));
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
