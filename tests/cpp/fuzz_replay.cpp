// Feeds fuzz_decoders.cpp the same inputs in every run, without a fuzzer: valid messages with a few
// changes, and noise. Usage: fuzz_decoders [inputs]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "fuzz_input.h"
#include "gradwire/bits.h"
#include "gradwire/indices.h"

using Bytes = std::vector<std::uint8_t>;

using gradwire::IndexCodec;
using gradwire::Status;
using gradwire::testing::FuzzHeader;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

// xorshift64*: quick, and the same everywhere.
class Random {
  public:
    std::uint64_t below(std::uint64_t limit) noexcept {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return ((state_ * 0x2545F4914F6CDD1DU) >> 32) % limit;
    }

  private:
    std::uint64_t state_ = 0x9E3779B97F4A7C15U;
};

struct Input {
    FuzzHeader header;
    Bytes message;
};

FuzzHeader random_header(Random& random) {
    FuzzHeader header{};
    header.decoder = static_cast<std::uint32_t>(random.below(gradwire::testing::kDecoders));
    header.bits = static_cast<unsigned>(random.below(8) + 1);
    header.count = random.below(random.below(64) == 0 ? 1200 : 24);
    // Lengths of every order of magnitude, where that does not make the messages long.
    std::uint64_t orders = 33;
    if (static_cast<IndexCodec>(header.decoder) == IndexCodec::bitmap) {
        orders = 11;
    } else if (static_cast<IndexCodec>(header.decoder) == IndexCodec::tile16) {
        orders = 19;
    }
    const std::uint64_t power = std::uint64_t{1} << random.below(orders);
    header.length = power - random.below(power / 2 + 1);
    const std::uint64_t begins = (std::uint64_t{1} << 32) - header.length + 1;
    header.begin = static_cast<std::uint32_t>(random.below(begins));
    return header;
}

// Sets the count to that of the indices, which are fewer where two were the same.
void encode_indices(Input& input, Random& random) {
    FuzzHeader& header = input.header;
    // Now and then all of them are close to the beginning: no gap is what the code expects.
    const std::uint64_t span =
        random.below(4) == 0 ? random.below(header.length) / 16 + 1 : header.length;
    std::vector<std::uint32_t> indices(header.count);
    for (std::uint32_t& index : indices) {
        index = header.begin + static_cast<std::uint32_t>(random.below(span));
    }
    std::sort(indices.begin(), indices.end());
    indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
    header.count = indices.size();
    const auto codec = static_cast<IndexCodec>(header.decoder);
    input.message.resize(gradwire::encoded_size(header.count, header.length, codec).max);
    std::uint64_t written = 0;
    if (gradwire::encode_indices(indices.data(), header.count, {header.begin, header.length}, codec,
                                 input.message.data(), &written) != Status::ok) {
        std::abort();
    }
    input.message.resize(written);
}

void encode_codes(Input& input, Random& random) {
    const FuzzHeader& header = input.header;
    const bool trits = header.decoder == gradwire::testing::kDecodeBase3;
    Bytes codes(header.count);
    for (std::uint8_t& code : codes) {
        code = static_cast<std::uint8_t>(random.below(trits ? 3 : std::uint64_t{1} << header.bits));
    }
    if (trits) {
        input.message.resize(gradwire::base3_size(header.count));
        gradwire::pack_base3(codes.data(), codes.size(), input.message.data());
    } else {
        input.message.resize(gradwire::packed_size(header.count, header.bits));
        gradwire::pack_bits(codes.data(), codes.size(), header.bits, input.message.data());
    }
}

Input valid_input(Random& random) {
    Input input{random_header(random), {}};
    if (input.header.decoder < gradwire::testing::kDecodeBits) {
        encode_indices(input, random);
    } else {
        encode_codes(input, random);
    }
    return input;
}

// Up to three changes of the kinds that decoders must notice.
void change(Input& input, Random& random) {
    Bytes& message = input.message;
    for (std::uint64_t changes = random.below(4); changes > 0; --changes) {
        const std::uint64_t kind = random.below(6);
        if (kind == 0) {
            message.push_back(static_cast<std::uint8_t>(random.below(256)));
        } else if (kind == 1) {
            input.header.count = (input.header.count + random.below(3) + 4095) % 4096;
        } else if (message.empty()) {
            continue;
        } else if (kind == 2) {
            message.pop_back();
        } else if (kind == 3) {
            message[random.below(message.size())] = static_cast<std::uint8_t>(random.below(256));
        } else if (kind == 4) {  // a run of zeros, or of ones
            const std::uint64_t begin = random.below(message.size());
            const std::uint64_t size = random.below(message.size() - begin) + 1;
            std::fill_n(message.begin() + static_cast<std::ptrdiff_t>(begin), size,
                        static_cast<std::uint8_t>(255 * random.below(2)));
        } else {
            std::uint8_t& byte = message[random.below(message.size())];
            byte = static_cast<std::uint8_t>(byte ^ 1U << random.below(8));
        }
    }
}

Bytes noise(Random& random) {
    Bytes bytes(gradwire::testing::kFuzzHeaderBytes + random.below(64));
    for (std::uint8_t& byte : bytes) {
        byte = static_cast<std::uint8_t>(random.below(256));
    }
    // Few indices, so that some lengths are right.
    bytes[3] = 0;
    return bytes;
}

Bytes next_input(Random& random) {
    if (random.below(8) == 0) {
        return noise(random);
    }
    Input input = valid_input(random);
    change(input, random);
    Bytes bytes(gradwire::testing::kFuzzHeaderBytes);
    gradwire::testing::write_header(input.header, bytes.data());
    bytes.insert(bytes.end(), input.message.begin(), input.message.end());
    return bytes;
}

}  // namespace

int main(int count, char** arguments) {
    if (!gradwire::runs(gradwire::Isa::GRADWIRE_ISA)) {
        std::printf("not run: this processor does not have the instruction set\n");
        return 0;
    }
    const long inputs = count > 1 ? std::atol(arguments[1]) : 150000;
    Random random;
    for (long i = 0; i < inputs; ++i) {
        const Bytes input = next_input(random);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::printf("%ld inputs\n", inputs);
    return 0;
}
