// Several threads give the bits of one and stay inside their buffers, which have the exact sizes.
#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/bits.h"
#include "gradwire/merge.h"
#include "gradwire/quantize.h"
#include "gradwire/select.h"
#include "gradwire/threads.h"
#include "gradwire/transform.h"

using gradwire::Entries;
using gradwire::Selection;
using gradwire::Status;

namespace {

constexpr std::uint64_t kSize = 3 * (std::uint64_t{1} << 17) + 37;

// Pseudo-random, and larger by far where `hot` says so.
std::vector<float> numbers(std::uint64_t hot_begin, std::uint64_t hot_end) {
    std::vector<float> x(kSize);
    std::uint32_t state = 12345;
    for (std::uint64_t i = 0; i < kSize; ++i) {
        state = state * 1664525U + 1013904223U;
        const float value = static_cast<float>(state >> 8) * 0x1p-24F - 0.5F;
        x[i] = i >= hot_begin && i < hot_end ? value * 100.0F : value;
    }
    return x;
}

struct Result {
    Selection found{};
    std::vector<std::uint32_t> indices;
    std::vector<float> values;
    std::vector<float> acc;

    explicit Result(std::uint64_t capacity, std::uint64_t n = 0)
        : indices(capacity), values(capacity), acc(n) {}
    Entries entries() { return {indices.data(), values.data(), indices.size()}; }
    Result& trimmed() {  // what lies behind is scratch
        indices.resize(found.written);
        values.resize(found.written);
        return *this;
    }
    bool operator==(const Result& other) const {
        return found.found == other.found.found && found.written == other.found.written &&
               indices == other.indices && values == other.values && acc == other.acc;
    }
};

template <typename Work>
auto with_threads(int count, Work work) {
    gradwire::set_threads(count);
    auto result = work();
    gradwire::set_threads(1);
    return result;
}

template <typename Work>
bool same_with_threads(Work work) {
    const auto expected = with_threads(1, work);
    return with_threads(2, work) == expected && with_threads(5, work) == expected;
}

}  // namespace

TEST(threads_select_the_same) {
    const std::uint64_t third = kSize / 3;
    for (const auto& x : {numbers(0, 0), numbers(0, third), numbers(2 * third, kSize)}) {
        Selection all{};
        gradwire::select(x.data(), kSize, 0.45F, {nullptr, nullptr, 0}, &all);
        for (std::uint64_t capacity : {all.found / 2, all.found - 1, all.found, all.found + 1}) {
            CHECK(same_with_threads([&] {
                Result result(capacity);
                gradwire::select(x.data(), kSize, 0.45F, result.entries(), &result.found);
                return result.trimmed();
            }));
        }
    }
}

TEST(threads_find_the_same_top_k) {
    const std::vector<float> gradient = numbers(0, kSize / 4);
    const std::vector<float> residual = numbers(0, 0);
    for (const std::uint64_t k : {std::uint64_t{1}, kSize / 100, kSize / 2, kSize}) {
        for (const float floor : {0.0F, 1e-3F, 30.0F}) {
            CHECK(same_with_threads([&] {
                Result result(k, kSize);
                std::vector<char> memory(gradwire::topk_workspace(kSize, k));
                CHECK(gradwire::compensate_topk(gradient.data(), residual.data(), kSize, k, floor,
                                                result.acc.data(), result.entries(),
                                                {memory.data(), memory.size()},
                                                &result.found) == Status::ok);
                return result.trimmed();
            }));
        }
    }
}

TEST(threads_merge_the_same) {
    std::vector<std::uint32_t> first;
    std::vector<std::uint32_t> second;
    for (std::uint32_t i = 0; i < 200000; ++i) {
        first.push_back(3 * i);
        second.push_back(i < 100000 ? 2 * i : 7 * i);
    }
    const std::vector<float> values(200000, 1.0F);
    const gradwire::Chunk chunks[] = {{first.data(), values.data(), first.size()},
                                      {second.data(), values.data(), second.size()}};
    CHECK(same_with_threads([&] {
        Result result(first.size() + second.size());
        std::vector<std::uint64_t> cursors(2);
        CHECK(gradwire::merge(chunks, 2, cursors.data(), result.entries(), &result.found.written) ==
              Status::ok);
        return result.trimmed();
    }));
}

TEST(threads_code_the_same) {
    const std::vector<float> x = numbers(0, kSize / 2);
    for (const std::uint64_t block : {0U, 48U, 512U, 65520U}) {
        const gradwire::Grid grid{4, 7, block, gradwire::Scale::absmax};
        const gradwire::Encoding how{grid, false, true, {1, 2, 3, 4, 5}};
        CHECK(same_with_threads([&] {
            std::vector<std::uint8_t> codes(gradwire::code_bytes(kSize, 4));
            std::vector<float> scales(gradwire::scale_count(kSize, block, grid.scale));
            gradwire::quantize(x.data(), kSize, how, scales.data(), codes.data());
            std::vector<float> out(x);
            gradwire::dequantize_add(codes.data(), scales.data(), kSize, grid, out.data());
            out.insert(out.end(), codes.begin(), codes.end());
            return out;
        }));
    }
}

TEST(threads_pack_and_transform_the_same) {
    std::vector<std::uint8_t> trits(kSize);
    for (std::uint64_t i = 0; i < kSize; ++i) {
        trits[i] = static_cast<std::uint8_t>(i * i % 3);
    }
    CHECK(same_with_threads([&] {
        std::vector<std::uint8_t> packed(gradwire::base3_size(kSize));
        CHECK(gradwire::pack_base3(trits.data(), kSize, packed.data()) == Status::ok);
        std::vector<std::uint8_t> again(kSize);
        CHECK(gradwire::unpack_base3(packed.data(), packed.size(), kSize, again.data()) ==
              Status::ok);
        CHECK(again == trits);
        return packed;
    }));
    std::vector<float> x = numbers(0, 0);
    x.resize(std::uint64_t{1} << 19);
    for (const std::uint64_t block : {std::uint64_t{256}, std::uint64_t{x.size()}}) {
        CHECK(same_with_threads([&] {
            std::vector<float> out(x.size());
            gradwire::hadamard(x.data(), x.size(), block, gradwire::Signs::before, {1, 2, 3, 4},
                               out.data());
            return out;
        }));
    }
}
