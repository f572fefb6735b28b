// What stands before the message in an input of fuzz_decoders.cpp: any bytes are a valid header.
#pragma once

#include <cstdint>
#include <cstring>

namespace gradwire::testing {

// Decoders by number: the index codecs, then these.
constexpr std::uint32_t kDecodeBits = 6;
constexpr std::uint32_t kDecodeBase3 = 7;
constexpr std::uint32_t kDecoders = 8;

struct FuzzHeader {
    std::uint32_t decoder;
    unsigned bits;        // 1..8
    std::uint64_t count;  // up to 4095: memory is not what is tested
    std::uint32_t begin;
    std::uint64_t length;  // 1..2^32, begin + length <= 2^32
};

constexpr std::size_t kFuzzHeaderBytes = 12;

inline FuzzHeader read_header(const std::uint8_t* data) {
    std::uint32_t words[3];
    std::memcpy(words, data, sizeof words);
    FuzzHeader header{};
    header.decoder = words[0] % kDecoders;
    header.bits = words[0] / kDecoders % 8 + 1;
    header.count = words[0] >> 20;
    header.begin = words[1];
    header.length = std::uint64_t{words[2]} % ((std::uint64_t{1} << 32) - header.begin) + 1;
    return header;
}

// read_header() of it gives the header back.
inline void write_header(const FuzzHeader& header, std::uint8_t* data) {
    const std::uint32_t words[3] = {
        header.decoder + kDecoders * (header.bits - 1) +
            (static_cast<std::uint32_t>(header.count) << 20),
        header.begin,
        static_cast<std::uint32_t>(header.length - 1),
    };
    std::memcpy(data, words, sizeof words);
}

}  // namespace gradwire::testing
