// Every decoder of the core on any bytes: they are refused, or are the one form of what comes out.
//
// Built by clang with GRADWIRE_FUZZ, this is a libFuzzer target; otherwise fuzz_replay.cpp calls
// it. An input is a header (fuzz_input.h) and a message. Buffers have exact sizes, so the address
// sanitizer sees any step outside.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "fuzz_input.h"
#include "gradwire/bits.h"
#include "gradwire/indices.h"

using Bytes = std::vector<std::uint8_t>;

using gradwire::IndexCodec;
using gradwire::IndexRange;
using gradwire::Status;
using gradwire::testing::FuzzHeader;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void fuzz_indices(const FuzzHeader& header, const Bytes& message) {
    const auto codec = static_cast<IndexCodec>(header.decoder);
    const IndexRange range{header.begin, header.length};
    std::vector<std::uint32_t> out(header.count);
    const Status status = gradwire::decode_indices(message.data(), message.size(), header.count,
                                                   range, codec, out.data());
    if (status != Status::ok) {
        return;
    }
    const auto size = gradwire::encoded_size(header.count, header.length, codec);
    Bytes again(size.max);
    std::uint64_t written = 0;
    require(gradwire::encode_indices(out.data(), out.size(), range, codec, again.data(),
                                     &written) == Status::ok);
    again.resize(written);
    require(again == message);
}

void fuzz_bits(const FuzzHeader& header, const Bytes& message) {
    Bytes out(header.count);
    if (gradwire::unpack_bits(message.data(), message.size(), header.count, header.bits,
                              out.data()) == Status::ok) {
        Bytes again(gradwire::packed_size(header.count, header.bits));
        require(gradwire::pack_bits(out.data(), header.count, header.bits, again.data()) ==
                Status::ok);
        require(again == message);
    }
}

void fuzz_base3(const FuzzHeader& header, const Bytes& message) {
    Bytes out(header.count);
    if (gradwire::unpack_base3(message.data(), message.size(), header.count, out.data()) ==
        Status::ok) {
        Bytes again(gradwire::base3_size(header.count));
        require(gradwire::pack_base3(out.data(), header.count, again.data()) == Status::ok);
        require(again == message);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace gradwire::testing;
    if (size < kFuzzHeaderBytes) {
        return 0;
    }
    const FuzzHeader header = read_header(data);
    const Bytes message(data + kFuzzHeaderBytes, data + size);
    if (header.decoder == kDecodeBits) {
        fuzz_bits(header, message);
    } else if (header.decoder == kDecodeBase3) {
        fuzz_base3(header, message);
    } else {
        fuzz_indices(header, message);
    }
    return 0;
}
