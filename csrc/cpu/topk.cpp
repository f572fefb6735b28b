#include <algorithm>

#include "compact.h"
#include "gradwire/magnitude.h"
#include "gradwire/residual.h"
#include "gradwire/select.h"
#include "radix.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

constexpr std::uint64_t kAlignment = 64;
// The candidate buffer holds 2k + kSlack entries: a floor that is a little too low still fits.
constexpr std::uint64_t kSlack = 4096;

constexpr std::uint64_t candidate_capacity(std::uint64_t k) noexcept {
    return 2 * k + kSlack;
}

struct Workspace {
    std::uint32_t* counts;
    Entries candidates;
};

Workspace carve(void* memory, std::uint64_t k) noexcept {
    auto* const counts = static_cast<std::uint32_t*>(memory);
    std::uint32_t* const indices = counts + kLanes * kBins;
    const std::uint64_t capacity = candidate_capacity(k);
    auto* const values = reinterpret_cast<float*>(indices + capacity);
    return {counts, {indices, values, capacity}};
}

// Takes from x the magnitudes above `low` and the first `ties` that equal it; `total` in all, which
// the caller knows to exist. Index i of x stands for source[i], or for itself if source is null.
void take(const float* x, std::uint64_t n, const std::uint32_t* source, std::uint32_t low,
          std::uint64_t ties, std::uint64_t total, const Entries& out) noexcept {
    const auto limit = static_cast<std::int32_t>(low);
    std::uint64_t count = 0;
    const auto step = [&](std::uint64_t i) {
        const std::int32_t bits = signed_magnitude(x[i]);
        const auto tie =
            static_cast<std::uint64_t>(bits == limit) & static_cast<std::uint64_t>(ties > 0);
        out.indices[count] = source != nullptr ? source[i] : static_cast<std::uint32_t>(i);
        out.values[count] = x[i];
        ties -= tie;
        count += static_cast<std::uint64_t>(bits > limit) | tie;
    };
    std::uint64_t i = 0;
    for (; i + kBlock <= n && count + kBlock <= total; i += kBlock) {
        if (any_at_least(x + i, limit)) {
            for (std::uint64_t j = i; j < i + kBlock; ++j) {
                step(j);
            }
        }
    }
    // Writes go to count, so it must stay below total here.
    for (; i < n && count < total; ++i) {
        step(i);
    }
}

// At least k candidates, a superset of the k largest, in index order.
Selection finish_from_candidates(const Workspace& space, std::uint64_t count, std::uint64_t k,
                                 const Entries& out) noexcept {
    const Cut cut = narrow(space.candidates.values, count, k, 0, space.counts, false);
    take(space.candidates.values, count, space.candidates.indices, cut.low, k - cut.above, k, out);
    return {k, k, bits_float(cut.low)};
}

// `counted`: as for narrow().
Selection finish_from_array(const float* x, std::uint64_t n, std::uint64_t k,
                            const Workspace& space, const Entries& out, bool counted) noexcept {
    const Cut cut = narrow(x, n, k, space.candidates.capacity, space.counts, counted);
    if (!cut.enough) {
        const std::uint64_t found = compact(x, n, 0, 1, out, 0);
        return {found, found, 0.0F};
    }
    if (cut.exact) {
        take(x, n, nullptr, cut.low, k - cut.above, k, out);
        return {k, k, bits_float(cut.low)};
    }
    const std::uint64_t count = compact(x, n, 0, cut.low, space.candidates, 0);
    return finish_from_candidates(space, count, k, out);
}

struct FirstPass {
    std::uint64_t candidates;    // all of them, unless they overflowed
    std::uint64_t counted_from;  // first element in the histogram; n if there is none
};

// Pass A: acc and the candidates. Once they overflow, the rest of the pass prepares the histogram
// instead, so that a floor that is too low costs one more read of what came before.
FirstPass first_pass(const float* gradient, const float* residual, std::uint64_t n,
                     std::uint32_t least, float* acc, const Workspace& space) noexcept {
    FirstPass pass{0, n};
    for (std::uint64_t begin = 0; begin < n; begin += kTile) {
        const std::uint64_t size = std::min(kTile, n - begin);
        compensate(gradient + begin, residual + begin, size, acc + begin);
        if (pass.counted_from == n) {
            pass.candidates =
                compact(acc + begin, size, begin, least, space.candidates, pass.candidates);
            if (pass.candidates <= space.candidates.capacity) {
                continue;
            }
            pass.counted_from = begin;
            reset_counts(space.counts);
        }
        count_first_digit(acc + begin, size, space.counts);
    }
    return pass;
}

Status check(std::uint64_t k, const Entries& out, std::uint64_t workspace_bytes) noexcept {
    if (out.capacity < k) {
        return Status::capacity_exceeded;
    }
    return workspace_bytes < topk_workspace(k) ? Status::workspace_too_small : Status::ok;
}

void* align(void* memory) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    return static_cast<char*>(memory) + (kAlignment - address % kAlignment) % kAlignment;
}

}  // namespace

std::uint64_t topk_workspace(std::uint64_t k) noexcept {
    constexpr std::uint64_t kEntryBytes = sizeof(std::uint32_t) + sizeof(float);
    return kAlignment + kCountsBytes + candidate_capacity(k) * kEntryBytes;
}

Status topk(const float* x, std::uint64_t n, std::uint64_t k, Entries out, void* workspace,
            std::uint64_t workspace_bytes, Selection* result) noexcept {
    const std::uint64_t wanted = k;
    k = std::min(k, n);
    const Status status = check(k, out, workspace_bytes);
    if (status != Status::ok) {
        return status;
    }
    *result = k == 0 ? Selection{0, 0, 0.0F}
                     : finish_from_array(x, n, k, carve(align(workspace), k), out, false);
    result->threshold = result->found == wanted ? result->threshold : 0.0F;
    return Status::ok;
}

Status compensate_topk(const float* gradient, const float* residual, std::uint64_t n,
                       std::uint64_t k, float floor, float* acc, Entries out, void* workspace,
                       std::uint64_t workspace_bytes, Selection* result) noexcept {
    const std::uint64_t wanted = k;
    k = std::min(k, n);
    const Status status = check(k, out, workspace_bytes);
    if (status != Status::ok) {
        return status;
    }
    if (k == 0) {
        compensate(gradient, residual, n, acc);
        *result = {0, 0, 0.0F};
        return Status::ok;
    }
    const Workspace space = carve(align(workspace), k);
    const FirstPass pass = first_pass(gradient, residual, n, floor_magnitude(floor), acc, space);
    if (pass.counted_from < n) {
        count_first_digit(acc, pass.counted_from, space.counts);
        *result = finish_from_array(acc, n, k, space, out, true);
    } else if (pass.candidates >= k) {
        *result = finish_from_candidates(space, pass.candidates, k, out);
    } else {
        *result = finish_from_array(acc, n, k, space, out, false);
    }
    result->threshold = result->found == wanted ? result->threshold : 0.0F;
    return Status::ok;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
