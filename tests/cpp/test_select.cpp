#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "check.h"
#include "gradwire/magnitude.h"
#include "gradwire/philox.h"
#include "gradwire/select.h"
#include "gradwire/statistics.h"

using Sizes = std::vector<std::uint64_t>;

using gradwire::magnitude;
using gradwire::Selection;
using gradwire::Status;

namespace {

// Every bit pattern may occur; `mask` narrows them down to force ties.
std::vector<float> random_bits(std::uint64_t n, std::uint32_t mask) {
    std::vector<float> x(n);
    for (std::uint32_t i = 0; i < n; ++i) {
        x[i] = gradwire::bits_float(gradwire::philox4x32({i, 0, 0, 0}, {1, 1})[0] & mask);
    }
    return x;
}

// The definition: sort by falling magnitude, ties by index, drop zeros, cut at k.
std::vector<std::uint32_t> best(const std::vector<float>& x, std::uint64_t k) {
    std::vector<std::uint32_t> order(x.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return magnitude(x[a]) > magnitude(x[b]);
    });
    order.resize(std::min<std::uint64_t>(k, x.size()));
    while (!order.empty() && magnitude(x[order.back()]) == 0) {
        order.pop_back();
    }
    std::sort(order.begin(), order.end());
    return order;
}

struct Room {  // exact sizes: the address sanitizer sees any step outside
    explicit Room(std::uint64_t k, std::uint64_t n)
        : indices(std::min(k, n)),
          values(std::min(k, n)),
          workspace(gradwire::topk_workspace(n, k)) {}
    gradwire::Entries entries() { return {indices.data(), values.data(), indices.size()}; }
    gradwire::Workspace space() { return {workspace.data(), workspace.size()}; }
    std::vector<std::uint32_t> indices;
    std::vector<float> values;
    std::vector<std::uint8_t> workspace;
};

constexpr std::uint32_t kMasks[] = {0xFFFFFFFFU, 0x80000003U, 0x3F80FFFFU, 0x7F800000U, 0};

}  // namespace

TEST(topk_is_exact) {
    for (const std::uint32_t mask : kMasks) {
        for (const std::uint64_t n : Sizes{0, 1, 31, 33, 1025, 20000, 70001}) {
            const auto x = random_bits(n, mask);
            for (const std::uint64_t k : Sizes{0, 1, 32, 1000, 30000}) {
                Room room(k, n);
                Selection result{};
                CHECK(gradwire::topk(x.data(), n, k, room.entries(), room.space(), &result) ==
                      Status::ok);
                room.indices.resize(result.written);
                CHECK(room.indices == best(x, k));
            }
        }
    }
}

TEST(the_floor_never_changes_compensate_topk) {
    const std::uint64_t n = 20000;
    const std::vector<float> residual(n, 0.0F);
    for (const std::uint32_t mask : kMasks) {
        const auto gradient = random_bits(n, mask & 0xFFBFFFFFU);
        for (const float floor : {0.0F, 1e-30F, 1.0F, 1e38F}) {
            std::vector<float> acc = gradient;  // in place, as the contract allows
            Room room(100, n);
            Selection result{};
            CHECK(gradwire::compensate_topk(acc.data(), residual.data(), n, 100, floor, acc.data(),
                                            room.entries(), room.space(), &result) == Status::ok);
            room.indices.resize(result.written);
            CHECK(room.indices == best(acc, 100));
        }
    }
}

TEST(select_counts_beyond_its_capacity) {
    const auto x = random_bits(5000, 0xFFFFFFFFU);
    for (const std::uint64_t capacity : Sizes{0, 1, 31, 32, 33, 4999}) {
        std::vector<std::uint32_t> indices(capacity);
        std::vector<float> values(capacity);
        Selection result{};
        gradwire::select(x.data(), x.size(), 0.0F, {indices.data(), values.data(), capacity},
                         &result);
        CHECK(result.found == 5000);
        CHECK(result.written == capacity);
        CHECK(indices.empty() || indices.back() == capacity - 1);
    }
}

TEST(sizes_are_checked) {
    const std::vector<float> x(100, 1.0F);
    Room room(10, 100);
    Selection result{};
    CHECK(gradwire::topk(x.data(), 100, 11, room.entries(), room.space(), &result) ==
          Status::capacity_exceeded);
    CHECK(gradwire::topk(x.data(), 100, 10, room.entries(), {room.workspace.data(), 100},
                         &result) == Status::workspace_too_small);
}

TEST(kth_magnitude_is_exact) {
    std::vector<std::uint8_t> workspace(gradwire::kth_magnitude_workspace(3000));
    for (const std::uint32_t mask : kMasks) {
        const auto x = random_bits(3000, mask);
        for (const std::uint64_t k : Sizes{1, 77, 3000, 3001}) {
            float result = -1.0F;
            CHECK(gradwire::kth_magnitude(x.data(), x.size(), k,
                                          {workspace.data(), workspace.size()},
                                          &result) == Status::ok);
            const auto chosen = best(x, k);
            std::uint32_t smallest = chosen.size() < k ? 0 : 0xFFFFFFFFU;
            for (const std::uint32_t index : chosen) {
                smallest = std::min(smallest, magnitude(x[index]));
            }
            CHECK(magnitude(result) == smallest);
        }
    }
}

TEST(momentum_stays_inside_its_arrays) {
    for (const std::uint64_t n : Sizes{0, 1, 17, 70001}) {
        const auto gradient = random_bits(n, 0xBF8FFFFFU);
        const auto old = random_bits(n, 0x3F8FFFFFU);
        std::vector<float> momentum(n);
        std::vector<float> acc(n);
        Room room(100, n);
        Selection result{};
        CHECK(gradwire::momentum_topk(
                  gradwire::Momentum<float>{gradient.data(), old.data(), old.data(), 0.5F, true,
                                            momentum.data(), acc.data()},
                  n, 100, 0.0F, room.entries(), room.space(), &result) == Status::ok);
        room.indices.resize(result.written);
        CHECK(room.indices == best(acc, 100));
    }
}
