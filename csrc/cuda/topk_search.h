// Where the k-th largest magnitude of a vector lies, as far as known, and the kernels that find
// out: floor, gather and digits of topk.cu.
#pragma once

#include <cstdint>

#include "compact.h"
#include "radix.h"
#include "select.h"

namespace gradwire {
inline namespace cuda {

constexpr std::uint64_t kWorkspaceAlignment = 64;
// Shorter vectors are candidates altogether.
constexpr std::uint64_t kLong = 16 * std::uint64_t{kTile};

// Look-backs, in the order in which they use their words.
enum Use : unsigned { kGather, kGatherAgain, kTake, kTies, kUses };

// What is known of the k-th largest, in device memory; all zeros at first.
struct alignas(kWorkspaceAlignment) Search {
    Counts counts;
    std::uint32_t tickets[kUses];
    std::uint32_t floor;
    std::uint32_t candidates;        // how many, if among_candidates
    std::uint32_t among_candidates;  // the k largest are; if not, all of the vector is searched
    std::uint32_t gather_again;      // what reaches `low` fits into the room
    std::uint32_t lacking;           // there are fewer than k that are not zero
    std::uint32_t prefix;            // leading bits of the k-th
    std::uint32_t low;               // smallest magnitude with these bits; not zero
    std::uint32_t above;             // elements with larger leading bits
    std::uint32_t inside;            // elements with these
};

// ---- floor ----

constexpr std::uint64_t kStride = 1024;
constexpr std::uint64_t kSampledQuads = 4;  // of each stride

// Where in its stride a sample lies changes from one to the next, or columns of a matrix would be
// seen always or never.
GRADWIRE_DEVICE std::uint64_t sampled_quad(std::uint64_t number) {
    const auto stride = static_cast<std::uint32_t>(number / kSampledQuads);
    const std::uint64_t group = stride * 0x9E3779B1U >> 26;  // of 64
    return stride * kStride + (group * kSampledQuads + number % kSampledQuads) * kQuad;
}

template <typename Source>
__global__ void __launch_bounds__(kThreads)
    floor_kernel(Source source, std::uint64_t n, std::uint32_t rank, Given floor, Search* search) {
    GRADWIRE_SHARED(DigitRoom, room);
    const std::uint32_t known = magnitude(floor.get());
    if (known != 0 || n < kLong) {
        if (blockIdx.x == 0 && threadIdx.x == 0) {
            search->floor = known == 0 ? 1 : known;
        }
        return;
    }
    const Digit digit = kDigits[0];
    const std::uint64_t quads = n / kStride * kSampledQuads;
    clear_counts(room, digit);
    for (std::uint64_t first = blockIdx.x * kThreads; first < quads;
         first += gridDim.x * kThreads) {
        const std::uint64_t number = first + threadIdx.x;
        Quad<float> values{};
        if (number < quads) {
            values = source.peek(sampled_quad(number), n);
        }
        count_quad(room, digit, 0, values);
    }
    if (add_up_counts(room, digit, true, &search->counts)) {
        const Bin bin = find_bin(room, digit, rank);
        if (threadIdx.x == 0) {
            const std::uint32_t low = bin.number << digit.shift;
            search->floor = low == 0 ? 1 : low;  // all, where the sample has not that many
        }
    }
}

// Of the sample, such that k elements of the vector are larger or equal by four standard
// deviations, if each element were sampled by chance.
inline std::uint32_t rank_in_sample(std::uint64_t n, std::uint64_t k) noexcept {
    const std::uint64_t size = n / kStride * kSampledQuads * kQuad;
    const auto expected = static_cast<std::uint64_t>(
        static_cast<double>(size) * (static_cast<double>(k) / static_cast<double>(n)));
    std::uint64_t root = 0;
    while ((root + 1) * (root + 1) <= expected) {
        ++root;
    }
    return static_cast<std::uint32_t>(expected + 4 * root + 8);
}

// ---- gather ----

// least: 0 for the floor that was found.
template <typename Source>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(Source source, std::uint64_t n, std::uint32_t k, std::uint32_t least,
                  Entries candidates, Lookback look, Search* search) {
    GRADWIRE_SHARED(LookbackRoom, room);
    const std::uint32_t floor = least == 0 ? search->floor : least;
    compact(room, look, source, n, floor, candidates, [=](std::uint64_t count) {
        const bool enough = count >= k || floor == 1;
        search->among_candidates =
            static_cast<std::uint32_t>(enough && count <= candidates.capacity);
        search->candidates = static_cast<std::uint32_t>(count);
    });
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    gather_again_kernel(Plain<T> source, std::uint64_t n, Entries candidates, Lookback look,
                        Search* search) {
    GRADWIRE_SHARED(LookbackRoom, room);
    if (search->gather_again == 0) {
        return;
    }
    compact(room, look, source, n, search->low, candidates, [=](std::uint64_t count) {
        search->among_candidates = 1;
        search->candidates = static_cast<std::uint32_t>(count);
    });
}

// ---- digits ----

// By the threads of one block.
GRADWIRE_DEVICE void narrow(DigitRoom& room, Digit digit, std::uint32_t k, std::uint64_t capacity,
                            Search* search) {
    const Bin bin = find_bin(room, digit, k - search->above);
    if (threadIdx.x != 0) {
        return;
    }
    if (bin.found == 0) {
        search->lacking = 1;
        search->low = 1;
        search->inside = 0;
        return;
    }
    search->prefix = search->prefix << digit.bits | bin.number;
    search->above += bin.above;
    search->inside = bin.inside;
    const std::uint32_t low = search->prefix << digit.shift;
    search->low = low == 0 ? 1 : low;
    const std::uint64_t reaching = std::uint64_t{search->above} + bin.inside;
    search->gather_again =
        static_cast<std::uint32_t>(search->among_candidates == 0 && reaching <= capacity);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    digit_kernel(const T* x, std::uint64_t n, Digit digit, std::uint32_t k, Entries candidates,
                 Search* search) {
    GRADWIRE_SHARED(DigitRoom, room);
    if (search->lacking != 0) {
        return;
    }
    const std::uint32_t prefix = search->prefix;
    const bool last =
        search->among_candidates != 0
            ? count_all(room, digit, prefix, candidates.values, search->candidates, &search->counts)
            : count_all(room, digit, prefix, x, n, &search->counts);
    if (last) {
        narrow(room, digit, k, candidates.capacity, search);
    }
}

}  // namespace cuda
}  // namespace gradwire
