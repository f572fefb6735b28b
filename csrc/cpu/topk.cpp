#include "float_environment.h"
#include "gather.h"
#include "gradwire/magnitude.h"
#include "gradwire/select.h"
#include "radix.h"
#include "sources.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kSlack = 4096;
// Candidates that fit: more than a good floor lets through, and no more than pays.
constexpr std::uint64_t candidate_capacity(std::uint64_t n, std::uint64_t k) noexcept {
    return n < kSlack ? n : (3 * k < n / 4 ? 3 * k : n / 4) + kSlack;
}

struct Scratch {
    std::uint32_t* counts;
    Entries candidates;
};

Scratch carve(void* memory, std::uint64_t n, std::uint64_t k) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    memory = static_cast<char*>(memory) + (kAlignment - address % kAlignment) % kAlignment;
    auto* const counts = static_cast<std::uint32_t*>(memory);
    std::uint32_t* const indices = counts + counts_bytes(n) / sizeof *counts;
    const std::uint64_t capacity = candidate_capacity(n, k);
    auto* const values = reinterpret_cast<float*>(indices + capacity);
    return {counts, {indices, values, capacity}};
}

// The lowest `count` lanes of a mask.
Mask lowest(Mask mask, std::uint64_t count) noexcept {
    std::uint32_t rest = mask;
    for (std::uint64_t i = 0; i < count && rest != 0; ++i) {
        rest &= rest - 1;
    }
    return static_cast<Mask>(mask & ~rest);
}

// Takes from x the magnitudes above `low` and the first `ties` that equal it; `total` in all, which
// the caller knows to exist. Index i of x stands for source[i], or for itself if source is null.
template <typename T>
void take(const T* x, std::uint64_t n, const std::uint32_t* source, std::uint32_t low,
          std::uint64_t ties, std::uint64_t total, const Entries& out) noexcept {
    const Words limit = words(low);
    EntryWriter writer({out.indices, out.values, total}, 0);
    for (std::uint64_t i = 0; i < n && writer.count() < total; i += kLanes) {
        const bool full = i + kLanes <= n;
        const Floats values = full ? Plain<T>{x}.lanes(i) : Plain<T>{x}.tail(i, n - i);
        const Mask reached = at_least(values, limit);
        if (reached == 0) {
            continue;
        }
        const Mask equals = equal(magnitudes(values), limit);
        const Mask first = lowest(equals, ties);
        ties -= count_lanes(first);
        const auto taken = static_cast<Mask>((reached & ~equals) | first);
        Words indices = lane_numbers() + words(static_cast<std::uint32_t>(i));
        if (source != nullptr) {
            indices = full
                          ? load(source + i)
                          : as_words(load_first(reinterpret_cast<const float*>(source + i), n - i));
        }
        if (writer.roomy(1)) {
            writer.append(taken, indices, values);
        } else {
            writer.append_carefully(taken, indices, values);
        }
    }
}

// At least k candidates, a superset of the k largest, in index order.
Selection finish_from_candidates(const Scratch& space, std::uint64_t count, std::uint64_t k,
                                 const Entries& out) noexcept {
    const Cut cut = narrow(space.candidates.values, count, k, 0, space.counts);
    take(space.candidates.values, count, space.candidates.indices, cut.low, k - cut.above, k, out);
    return {k, k, bits_float(cut.low)};
}

// Exact for any x, by reading it two to four times; once if all of it may be candidates.
template <typename T>
Selection search(const T* x, std::uint64_t n, std::uint64_t k, const Scratch& space,
                 const Entries& out) noexcept {
    Cut cut{1, 0, n, false, true};  // all that are not zero
    if (n > space.candidates.capacity) {
        cut = narrow(x, n, k, space.candidates.capacity, space.counts);
    }
    if (cut.exact) {
        take(x, n, nullptr, cut.low, k - cut.above, k, out);
        return {k, k, bits_float(cut.low)};
    }
    const std::uint64_t count =
        cut.enough ? gather(Plain<T>{x}, 0, n, cut.low, space.candidates, Overflow::count_on) : 0;
    if (count < k) {  // there are no more than these
        const std::uint64_t found = gather(Plain<T>{x}, 0, n, 1, out, Overflow::count_on);
        return {found, found, 0.0F};
    }
    return finish_from_candidates(space, count, k, out);
}

// The top k of x, k >= 1: one read if the sample tells a good floor.
template <typename T>
Selection topk_of(const T* x, std::uint64_t n, std::uint64_t k, const Scratch& space,
                  const Entries& out) noexcept {
    if (n >= kLong) {
        const std::uint32_t floor = estimate_floor(Plain<T>{x}, n, k, space.counts);
        const std::uint64_t count =
            floor == 0 ? 0 : gather(Plain<T>{x}, 0, n, floor, space.candidates, Overflow::give_up);
        if (count >= k && count <= space.candidates.capacity) {
            return finish_from_candidates(space, count, k, out);
        }
    }
    return search(x, n, k, space, out);
}

// `floor`: 0 if there is none.
template <typename Source>
Selection topk_on_the_way(const Source& source, std::uint64_t head, const float* acc,
                          std::uint64_t n, std::uint64_t k, float floor, const Entries& out,
                          const Scratch& space) noexcept {
    std::uint64_t count = 0;
    {
        const IeeeArithmetic ieee;
        std::uint32_t least = magnitude(floor);
        if (least == 0 && n >= kLong && k > 0) {
            least = estimate_floor(source, n, k, space.counts);
        }
        if (least == 0 || k == 0) {
            source.pass(0, head);
            source.pass(head, n);
        } else {
            count = gather(source, head, n, least, space.candidates, Overflow::give_up);
        }
        finish_streams();
    }
    if (k == 0) {
        return {0, 0, 0.0F};
    }
    if (count >= k && count <= space.candidates.capacity) {
        return finish_from_candidates(space, count, k, out);
    }
    return topk_of(acc, n, k, space, out);
}

// Checks the buffers, calls work(k, scratch) with a k of at most n, and completes the result.
template <typename Work>
Status checked(std::uint64_t n, std::uint64_t wanted, const Entries& out, Workspace workspace,
               Selection* result, Work work) noexcept {
    const std::uint64_t k = wanted < n ? wanted : n;
    if (out.capacity < k) {
        return Status::capacity_exceeded;
    }
    if (workspace.bytes < topk_workspace(n, k)) {
        return Status::workspace_too_small;
    }
    *result = work(k, carve(workspace.memory, n, k));
    result->threshold = result->found == wanted ? result->threshold : 0.0F;
    return Status::ok;
}

}  // namespace

std::uint64_t topk_workspace(std::uint64_t n, std::uint64_t k) noexcept {
    constexpr std::uint64_t kEntryBytes = sizeof(std::uint32_t) + sizeof(float);
    return kAlignment + counts_bytes(n) + candidate_capacity(n, k < n ? k : n) * kEntryBytes;
}

template <typename T>
Status topk(const T* x, std::uint64_t n, std::uint64_t k, Entries out, Workspace workspace,
            Selection* result) noexcept {
    const IeeeArithmetic ieee;
    return checked(n, k, out, workspace, result, [&](std::uint64_t most, const Scratch& space) {
        return most == 0 ? Selection{0, 0, 0.0F} : topk_of(x, n, most, space, out);
    });
}

template <typename T>
Status compensate_topk(const T* gradient, const float* residual, std::uint64_t n, std::uint64_t k,
                       float floor, float* acc, Entries out, Workspace workspace,
                       Selection* result) noexcept {
    return checked(n, k, out, workspace, result, [&](std::uint64_t most, const Scratch& space) {
        return with_compensated(gradient, residual, n, acc, [&](const auto& source, auto head) {
            return topk_on_the_way(source, head, acc, n, most, floor, out, space);
        });
    });
}

template <typename T>
Status momentum_topk(const Momentum<T>& arrays, std::uint64_t n, std::uint64_t k, float floor,
                     Entries out, Workspace workspace, Selection* result) noexcept {
    return checked(n, k, out, workspace, result, [&](std::uint64_t most, const Scratch& space) {
        return arrays.nesterov ? topk_on_the_way(MomentumCorrected<T, true>{arrays}, 0, arrays.acc,
                                                 n, most, floor, out, space)
                               : topk_on_the_way(MomentumCorrected<T, false>{arrays}, 0, arrays.acc,
                                                 n, most, floor, out, space);
    });
}

#define GRADWIRE_INSTANTIATE(T)                                                                  \
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

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
