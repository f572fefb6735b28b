// The k elements of largest magnitude, without a look of the host at anything on the way.
//
//   1  floor     a sample of the vector (16 elements of every 1024) tells a magnitude that somewhat
//                more than k elements reach
//   2  gather    one pass over the source; what reaches the floor becomes a candidate
//   3  digits    histograms of the candidates' bits narrow down to the exact k-th
//   4  take      the candidates above the k-th, and as many that equal it as are missing
//
// Moves what the source reads and writes (4 bytes per element of float32, 12 compensated, 20 with
// momentum), 1/64 of what it reads for the sample, and O(k). Where the floor was wrong (fewer than
// k reach it, or more than there is room for) the digits are of the vector itself: 4 bytes per
// element for the first one and 4 to gather again, by its bin, or another 12 if even the bin is too
// large. All kernels are always launched; those that are not needed leave at once.
#include <type_traits>

#include "select.h"
#include "sources.h"
#include "topk_search.h"
#include "topk_take.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr std::uint64_t kSlack = 4096;
// Candidates that there is room for: more than a good floor lets through.
constexpr std::uint64_t candidate_capacity(std::uint64_t n, std::uint64_t k) noexcept {
    return n < kLong ? n : (3 * k < n / 4 ? 3 * k : n / 4) + kSlack;
}

struct Room {
    Search* search;
    Entries candidates;
    std::uint64_t* words;  // of look-backs, for each tile; twice
    std::uint64_t tiles;

    Lookback lookback(Use use) const noexcept {
        return {words + (use == kTies ? tiles : 0), search->tickets + use, use + 1};
    }
};

// least: kUnreached where there is no use for candidates; 0 for a floor, from a sample if need be.
template <typename Source>
void enqueue_candidates(const Source& source, std::uint64_t n, std::uint64_t k, Given floor,
                        std::uint32_t least, const Room& room) noexcept {
    const auto count = static_cast<std::uint32_t>(k);
    if (least == 0) {
        const bool sampled = n >= kLong && (floor.at != nullptr || magnitude(floor.value) == 0);
        const unsigned blocks =
            sampled ? blocks_for(n / kStride * kSampledQuads, 4 * kThreads) : 1U;
        launch(blocks, kThreads, floor_kernel<Source>, source, n, rank_in_sample(n, k), floor,
               room.search);
    }
    if (least == kUnreached && std::is_same_v<Source, decltype(source.again())>) {
        return;  // nothing has to come into being
    }
    launch(blocks_of_tiles(tiles_of(n)), kThreads, gather_kernel<Source>, source, n, count, least,
           room.candidates, room.lookback(kGather), room.search);
}

template <typename T>
void enqueue_narrowing(const Plain<T>& source, std::uint64_t n, std::uint64_t k, const Room& room,
                       std::uint64_t wanted, const Entries& out, Selection* result) noexcept {
    const unsigned blocks = blocks_of_tiles(tiles_of(n));
    const auto count = static_cast<std::uint32_t>(k);
    for (const Digit& digit : kDigits) {
        launch(blocks, kThreads, digit_kernel<T>, source.x, n, digit, count, room.candidates,
               room.search);
        if (&digit == kDigits) {
            launch(blocks, kThreads, gather_again_kernel<T>, source, n, room.candidates,
                   room.lookback(kGatherAgain), room.search);
        }
    }
    launch(blocks, kThreads, take_kernel<T>, source, n, count, wanted, room.candidates,
           room.lookback(kTake), room.lookback(kTies), room.search, out, result);
}

std::uint64_t word_bytes(std::uint64_t n) noexcept {
    return 2 * tiles_of(n) * sizeof(std::uint64_t);
}

Room carve(void* memory, std::uint64_t n, std::uint64_t k, void* words) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    char* const begin = static_cast<char*>(memory) +
                        (kWorkspaceAlignment - address % kWorkspaceAlignment) % kWorkspaceAlignment;
    const std::uint64_t capacity = candidate_capacity(n, k < n ? k : n);
    // Values first: they are read in quads.
    auto* const values = reinterpret_cast<float*>(begin + sizeof(Search));
    auto* const indices = reinterpret_cast<std::uint32_t*>(values + capacity);
    return {reinterpret_cast<Search*>(begin),
            {indices, values, capacity},
            static_cast<std::uint64_t*>(words),
            tiles_of(n)};
}

template <typename Source>
void enqueue(const Source& source, std::uint64_t n, std::uint64_t wanted, Given floor,
             const Entries& out, const Room& room, Selection* result) noexcept {
    const std::uint64_t k = wanted < n ? wanted : n;
    set_bytes(room.search, 0, sizeof *room.search);
    set_bytes(room.words, 0, word_bytes(n));
    const std::uint32_t least = k == 0 || k > room.candidates.capacity ? kUnreached : 0;
    enqueue_candidates(source, n, k, floor, least, room);
    if (k == 0) {
        set_bytes(result, 0, sizeof *result);
        return;
    }
    enqueue_narrowing(source.again(), n, k, room, wanted, out, result);
}

template <typename T>
void enqueue_momentum(const Momentum<T>& arrays, std::uint64_t n, std::uint64_t wanted, Given floor,
                      const Entries& out, const Room& room, Selection* result) noexcept {
    if (arrays.nesterov) {
        enqueue(MomentumCorrected<T, true>{arrays}, n, wanted, floor, out, room, result);
    } else {
        enqueue(MomentumCorrected<T, false>{arrays}, n, wanted, floor, out, room, result);
    }
}

// Of a workspace with everything: the words come last.
Room carve_all(void* workspace, std::uint64_t n, std::uint64_t k) noexcept {
    const std::uint64_t bytes = topk_workspace(n, k);
    return carve(workspace, n, k, static_cast<char*>(workspace) + bytes / 8 * 8);
}

// Checks the buffers, calls work(room, result), which enqueues a selection, and waits for it.
template <typename Work>
Status checked(std::uint64_t n, std::uint64_t wanted, const Entries& out, Workspace workspace,
               Selection* result, Work work) noexcept {
    if (out.capacity < (wanted < n ? wanted : n)) {
        return Status::capacity_exceeded;
    }
    if (workspace.bytes < topk_workspace(n, wanted)) {
        return Status::workspace_too_small;
    }
    const Scratch scratch(word_bytes(n) + sizeof *result);
    auto* const found = scratch.as<Selection>(word_bytes(n));
    work(carve(workspace.memory, n, wanted, scratch.as<void>()), found);
    *result = fetch(found);
    return Status::ok;
}

}  // namespace

std::uint64_t topk_workspace(std::uint64_t n, std::uint64_t k) noexcept {
    constexpr std::uint64_t kEntryBytes = sizeof(std::uint32_t) + sizeof(float);
    return kWorkspaceAlignment + sizeof(Search) +
           candidate_capacity(n, k < n ? k : n) * kEntryBytes;
}

std::uint64_t enqueued_topk_workspace(std::uint64_t n, std::uint64_t k) noexcept {
    return topk_workspace(n, k) + word_bytes(n);
}

template <typename T>
void enqueue_topk(const T* x, std::uint64_t n, std::uint64_t k, Entries out, void* workspace,
                  Selection* result) noexcept {
    enqueue(Plain<T>{x}, n, k, given(0.0F), out, carve_all(workspace, n, k), result);
}

template <typename T>
void enqueue_compensate_topk(const T* gradient, const float* residual, std::uint64_t n,
                             std::uint64_t k, Given floor, float* acc, Entries out, void* workspace,
                             Selection* result) noexcept {
    enqueue(Compensated<T>{gradient, residual, acc}, n, k, floor, out, carve_all(workspace, n, k),
            result);
}

template <typename T>
void enqueue_momentum_topk(const Momentum<T>& arrays, std::uint64_t n, std::uint64_t k, Given floor,
                           Entries out, void* workspace, Selection* result) noexcept {
    enqueue_momentum(arrays, n, k, floor, out, carve_all(workspace, n, k), result);
}

template <typename T>
Status topk(const T* x, std::uint64_t n, std::uint64_t k, Entries out, Workspace workspace,
            Selection* result) noexcept {
    return checked(n, k, out, workspace, result, [&](const Room& room, Selection* found) {
        enqueue(Plain<T>{x}, n, k, given(0.0F), out, room, found);
    });
}

template <typename T>
Status compensate_topk(const T* gradient, const float* residual, std::uint64_t n, std::uint64_t k,
                       float floor, float* acc, Entries out, Workspace workspace,
                       Selection* result) noexcept {
    return checked(n, k, out, workspace, result, [&](const Room& room, Selection* found) {
        enqueue(Compensated<T>{gradient, residual, acc}, n, k, given(floor), out, room, found);
    });
}

template <typename T>
Status momentum_topk(const Momentum<T>& arrays, std::uint64_t n, std::uint64_t k, float floor,
                     Entries out, Workspace workspace, Selection* result) noexcept {
    return checked(n, k, out, workspace, result, [&](const Room& room, Selection* found) {
        enqueue_momentum(arrays, n, k, given(floor), out, room, found);
    });
}

#define GRADWIRE_INSTANTIATE(T)                                                                  \
    template void enqueue_topk(const T*, std::uint64_t, std::uint64_t, Entries, void*,           \
                               Selection*) noexcept;                                             \
    template void enqueue_compensate_topk(const T*, const float*, std::uint64_t, std::uint64_t,  \
                                          Given, float*, Entries, void*, Selection*) noexcept;   \
    template void enqueue_momentum_topk(const Momentum<T>&, std::uint64_t, std::uint64_t, Given, \
                                        Entries, void*, Selection*) noexcept;                    \
    template Status topk(const T*, std::uint64_t, std::uint64_t, Entries, Workspace,             \
                         Selection*) noexcept;                                                   \
    template Status compensate_topk(const T*, const float*, std::uint64_t, std::uint64_t, float, \
                                    float*, Entries, Workspace, Selection*) noexcept;            \
    template Status momentum_topk(const Momentum<T>&, std::uint64_t, std::uint64_t, float,       \
                                  Entries, Workspace, Selection*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace cuda
}  // namespace gradwire
