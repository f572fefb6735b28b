#include <cstdint>
#include <vector>

#include "check.h"
#include "gradwire/bits.h"
#include "gradwire/philox.h"
#include "gradwire/trits.h"

using Bytes = std::vector<std::uint8_t>;

using gradwire::Status;

namespace {

// Round every edge: words, groups of 64 codes, chunks of 512, tiles of 4095 trits.
constexpr std::uint64_t kSizes[] = {0,   1,   5,   7,   8,    9,    63,   64,   65,
                                    511, 512, 513, 575, 1031, 4094, 4095, 4096, 4103};

Bytes random_codes(std::uint64_t n, std::uint32_t values) {
    Bytes codes(n);
    for (std::uint32_t i = 0; i < n; ++i) {
        codes[i] =
            static_cast<std::uint8_t>(gradwire::philox4x32({i, 0, 0, 0}, {5, 5})[0] % values);
    }
    return codes;
}

}  // namespace

TEST(bits_survive_in_buffers_of_exact_size) {
    for (unsigned bits = 1; bits <= gradwire::kMaxCodeBits; ++bits) {
        for (const std::uint64_t n : kSizes) {
            const Bytes codes = random_codes(n, 1U << bits);
            Bytes data(gradwire::packed_size(n, bits));
            CHECK(gradwire::pack_bits(codes.data(), n, bits, data.data()) == Status::ok);
            Bytes back(n);
            CHECK(gradwire::unpack_bits(data.data(), data.size(), n, bits, back.data()) ==
                  Status::ok);
            CHECK(back == codes);
            CHECK(gradwire::unpack_bits(data.data(), data.size() + 1, n, bits, back.data()) ==
                  Status::wrong_length);
        }
    }
}

TEST(trits_survive_in_buffers_of_exact_size) {
    for (const std::uint64_t n : kSizes) {
        const Bytes codes = random_codes(n, 3);
        Bytes data(gradwire::base3_size(n));
        CHECK(gradwire::pack_base3(codes.data(), n, data.data()) == Status::ok);
        Bytes back(n);
        CHECK(gradwire::unpack_base3(data.data(), data.size(), n, back.data()) == Status::ok);
        CHECK(back == codes);
        CHECK(gradwire::unpack_base3(data.data(), data.size() + 1, n, back.data()) ==
              Status::wrong_length);
    }
}

TEST(one_code_that_is_too_large_is_noticed_anywhere) {
    for (std::uint64_t place = 0; place < 4103; place += 41) {
        Bytes codes(4103);
        Bytes data(4104);
        codes[place] = 16;
        CHECK(gradwire::pack_bits(codes.data(), codes.size(), 4, data.data()) ==
              Status::code_too_large);
        codes[place] = 3;
        CHECK(gradwire::pack_base3(codes.data(), codes.size(), data.data()) ==
              Status::code_too_large);
    }
}

TEST(trits_are_the_digits_of_a_byte) {
    bool same = true;
    for (std::uint32_t byte = 0; byte < gradwire::kByteValues; ++byte) {
        const std::uint64_t trits = gradwire::trits_of(byte);
        std::uint32_t rest = byte;
        for (std::uint64_t place = gradwire::kTrits; place-- > 0; rest /= 3) {
            same = same && (trits >> (8 * place) & 0xFFU) == rest % 3;
        }
        same = same && trits >> (8 * gradwire::kTrits) == 0;
        same = same && gradwire::five(trits | std::uint64_t{0xFFFFFF} << 40) == byte;
    }
    CHECK(same);
}
