#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/indices.h"
#include "gradwire/philox.h"

using gradwire::IndexCodec;
using gradwire::IndexRange;
using gradwire::Status;

namespace {

constexpr IndexCodec kCodecs[] = {IndexCodec::u32,         IndexCodec::tile16,
                                  IndexCodec::bitmap,      IndexCodec::rice,
                                  IndexCodec::elias_gamma, IndexCodec::elias_delta};

std::vector<std::uint8_t> encoded(const std::vector<std::uint32_t>& indices, IndexRange range,
                                  IndexCodec codec) {
    const auto size = gradwire::encoded_size(indices.size(), range.length, codec);
    std::vector<std::uint8_t> data(size.max);
    std::uint64_t written = 0;
    CHECK(gradwire::encode_indices(indices.data(), indices.size(), range, codec, data.data(),
                                   &written) == Status::ok);
    CHECK(size.min <= written && written <= size.max);
    data.resize(written);
    data.shrink_to_fit();
    return data;
}

}  // namespace

TEST(indices_round_trip) {
    const std::vector<std::uint32_t> indices = {10, 11, 65545, 65546, 65547, 200000};
    for (const IndexCodec codec : kCodecs) {
        const IndexRange range{10, 199991};
        const auto data = encoded(indices, range, codec);
        std::vector<std::uint32_t> out(indices.size());
        CHECK(gradwire::decode_indices(data.data(), data.size(), out.size(), range, codec,
                                       out.data()) == Status::ok);
        CHECK(out == indices);
    }
}

TEST(every_truncation_is_refused) {
    const std::vector<std::uint32_t> indices = {1, 5, 70000};
    for (const IndexCodec codec : kCodecs) {
        const IndexRange range{0, 70001};
        const auto data = encoded(indices, range, codec);
        for (std::size_t size = 0; size < data.size(); ++size) {
            // A copy of exactly this size: the address sanitizer sees any read behind it.
            const std::vector<std::uint8_t> part(data.begin(),
                                                 data.begin() + static_cast<std::ptrdiff_t>(size));
            std::vector<std::uint32_t> out(indices.size());
            CHECK(gradwire::decode_indices(part.data(), size, out.size(), range, codec,
                                           out.data()) == Status::wrong_length);
        }
    }
}

TEST(random_corruption_never_leaves_the_buffers) {
    const std::vector<std::uint32_t> indices = {0, 1, 2, 65535, 65536, 70000};
    const IndexRange range{0, 70001};
    for (const IndexCodec codec : kCodecs) {
        const auto data = encoded(indices, range, codec);
        for (std::uint32_t round = 0; round < 20000; ++round) {
            const auto random = gradwire::philox4x32({round, 0, 0, 0}, {7, 7});
            auto hostile = data;
            hostile[random[0] % data.size()] = static_cast<std::uint8_t>(random[1]);
            hostile[random[2] % data.size()] = static_cast<std::uint8_t>(random[3]);
            std::vector<std::uint32_t> out(indices.size());
            const Status status = gradwire::decode_indices(hostile.data(), hostile.size(),
                                                           out.size(), range, codec, out.data());
            if (status == Status::ok) {
                CHECK(encoded(out, range, codec) == hostile);
            }
        }
    }
}

TEST(encoding_refuses_what_cannot_be_decoded) {
    std::vector<std::uint8_t> out(64, 7);
    const std::vector<std::uint32_t> repeated = {4, 4};
    const std::vector<std::uint32_t> below = {1, 4};
    const std::vector<std::uint32_t> beyond = {4, 12};
    const IndexRange range{2, 10};
    std::uint64_t written = 0;
    for (const IndexCodec codec : kCodecs) {
        CHECK(gradwire::encode_indices(repeated.data(), 2, range, codec, out.data(), &written) ==
              Status::not_increasing);
        CHECK(gradwire::encode_indices(below.data(), 2, range, codec, out.data(), &written) ==
              Status::index_out_of_range);
        CHECK(gradwire::encode_indices(beyond.data(), 2, range, codec, out.data(), &written) ==
              Status::index_out_of_range);
    }
    CHECK(out == std::vector<std::uint8_t>(64, 7));
}

TEST(the_largest_messages_fit) {
    // One gap as long as it can be, at every place; gaps of one length; no gaps.
    const std::uint64_t lengths[] = {1, 2, 7, 100, 4096, std::uint64_t{1} << 32};
    for (const IndexCodec codec : kCodecs) {
        for (const std::uint64_t length : lengths) {
            if (codec == IndexCodec::bitmap && length > 4096) {
                continue;
            }
            for (std::uint64_t count = 1; count <= length && count <= 20; ++count) {
                for (std::uint64_t place = 0; place <= count; ++place) {
                    std::vector<std::uint32_t> indices;
                    for (std::uint64_t i = 0; i < count; ++i) {
                        const std::uint64_t index = i < place ? i : length - count + i;
                        indices.push_back(static_cast<std::uint32_t>(index));
                    }
                    const IndexRange range{0, length};
                    const auto data = encoded(indices, range, codec);
                    std::vector<std::uint32_t> out(count);
                    CHECK(gradwire::decode_indices(data.data(), data.size(), count, range, codec,
                                                   out.data()) == Status::ok);
                    CHECK(out == indices);
                }
            }
        }
    }
}
