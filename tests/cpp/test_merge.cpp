#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/merge.h"
#include "gradwire/residual.h"
#include "gradwire/scatter.h"

using gradwire::Chunk;
using gradwire::Status;

TEST(merge_unites_and_adds_in_chunk_order) {
    const std::vector<std::uint32_t> first = {1, 4096, 0xFFFFFFFFU};
    const std::vector<std::uint32_t> second = {0, 4096};
    const std::vector<float> ones = {1, 1, 1};
    const std::vector<float> values = {2, -1};
    const Chunk chunks[] = {{first.data(), ones.data(), 3}, {second.data(), values.data(), 2}};
    std::vector<std::uint64_t> cursors(2);
    std::vector<std::uint32_t> indices(4);
    std::vector<float> sums(4);
    std::uint64_t written = 0;
    CHECK(gradwire::merge(chunks, 2, cursors.data(), {indices.data(), sums.data(), 4}, &written) ==
          Status::ok);
    CHECK(written == 4);
    CHECK((indices == std::vector<std::uint32_t>{0, 1, 4096, 0xFFFFFFFFU}));
    CHECK((sums == std::vector<float>{2, 1, 0, 1}));
    CHECK(gradwire::merge(chunks, 2, cursors.data(), {indices.data(), sums.data(), 3}, &written) ==
          Status::capacity_exceeded);
}

TEST(merge_writes_the_union_into_exactly_its_room) {
    // Runs that only one chunk has, tiles of several, sparse and full ones.
    for (std::uint32_t stride : {1U, 3U, 64U, 5000U}) {
        for (std::uint32_t shift : {0U, 1U, 4000U, 200000U}) {
            std::vector<std::uint32_t> first(2000);
            std::vector<std::uint32_t> second(2000);
            for (std::uint32_t i = 0; i < 2000; ++i) {
                first[i] = i * stride;
                second[i] = i * stride + shift;
            }
            const std::vector<float> ones(2000, 1.0F);
            const Chunk chunks[] = {{first.data(), ones.data(), 2000},
                                    {second.data(), ones.data(), 2000}};
            std::vector<std::uint32_t> common(2000);
            std::uint64_t shared = 0;
            std::vector<std::uint32_t> positions(2000);
            CHECK(gradwire::intersect(first.data(), 2000, second.data(), 2000,
                                      {common.data(), positions.data()}, &shared) == Status::ok);
            const std::uint64_t expected = 4000 - shared;
            std::vector<std::uint64_t> cursors(2);
            std::vector<std::uint32_t> indices(expected);
            std::vector<float> sums(expected);
            std::uint64_t written = 0;
            CHECK(gradwire::merge(chunks, 2, cursors.data(),
                                  {indices.data(), sums.data(), expected}, &written) == Status::ok);
            CHECK(written == expected);
            float total = 0.0F;
            for (const float sum : sums) {
                total += sum;
            }
            CHECK(total == 4000.0F);
        }
    }
}

TEST(merge_refuses_unsorted_chunks) {
    const std::vector<std::uint32_t> falling = {2, 1};
    const std::vector<float> values = {1, 1};
    const Chunk chunk{falling.data(), values.data(), 2};
    std::uint64_t cursor = 0;
    std::uint64_t written = 0;
    CHECK(gradwire::merge(&chunk, 1, &cursor, {nullptr, nullptr, 0}, &written) ==
          Status::not_increasing);
}

TEST(intersect_finds_common_elements) {
    const std::vector<std::uint32_t> a = {1, 3, 5, 7};
    const std::vector<std::uint32_t> b = {3, 4, 7};
    std::vector<std::uint32_t> out(3);
    std::vector<std::uint32_t> at(3);
    std::uint64_t written = 0;
    CHECK(gradwire::intersect(a.data(), 4, b.data(), 3, {out.data(), at.data()}, &written) ==
          Status::ok);
    CHECK(written == 2 && out[0] == 3 && out[1] == 7 && at[0] == 1 && at[1] == 3);
    CHECK(gradwire::intersect(a.data(), 4, b.data(), 0, {nullptr, nullptr}, &written) ==
          Status::ok);
    CHECK(written == 0);
}

TEST(dense_updates_check_before_they_write) {
    std::vector<float> x = {1, 1, 1};
    const std::vector<std::uint32_t> good = {0, 2};
    const std::vector<std::uint32_t> beyond = {0, 3};
    const std::vector<float> values = {5, 6};
    CHECK(gradwire::scatter(x.data(), 3, beyond.data(), values.data(), 2) ==
          Status::index_out_of_range);
    CHECK(gradwire::clear(x.data(), 3, beyond.data(), 2) == Status::index_out_of_range);
    CHECK((x == std::vector<float>{1, 1, 1}));
    CHECK(gradwire::scatter_add(x.data(), 3, good.data(), values.data(), 2) == Status::ok);
    CHECK((x == std::vector<float>{6, 1, 7}));
    CHECK(gradwire::scatter(x.data(), 3, good.data(), values.data(), 2) == Status::ok);
    CHECK((x == std::vector<float>{5, 1, 6}));
    CHECK(gradwire::clear(x.data(), 3, good.data(), 2) == Status::ok);
    CHECK((x == std::vector<float>{0, 1, 0}));
}
