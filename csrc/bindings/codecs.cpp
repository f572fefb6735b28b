#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>

#include "addresses.h"
#include "gradwire/bfloat16.h"
#include "gradwire/indices.h"
#include "gradwire/philox.h"
#include "gradwire/random_indices.h"

namespace gradwire::bindings {
namespace {

using std::uint64_t;

void to_bfloat16_at(Address x, uint64_t n, Address out) {
    without_lock([&] { to_bfloat16(pointer<const float>(x), n, pointer<std::uint16_t>(out)); });
}

void from_bfloat16_at(Address bits, uint64_t n, Address out) {
    without_lock(
        [&] { from_bfloat16(pointer<const std::uint16_t>(bits), n, pointer<float>(out)); });
}

uint64_t encoded_size_of(uint64_t count, uint64_t length, int codec) {
    return encoded_size(count, length, static_cast<IndexCodec>(codec));
}

void encode_indices_at(Address indices, uint64_t count, std::uint32_t begin, uint64_t length,
                       int codec, Address out) {
    require(without_lock([&] {
                return encode_indices(pointer<const std::uint32_t>(indices), count, {begin, length},
                                      static_cast<IndexCodec>(codec), pointer<std::uint8_t>(out));
            }),
            "encode_indices");
}

void decode_indices_at(Address data, uint64_t bytes, uint64_t count, std::uint32_t begin,
                       uint64_t length, int codec, Address out) {
    require(without_lock([&] {
                return decode_indices(pointer<const std::uint8_t>(data), bytes, count,
                                      {begin, length}, static_cast<IndexCodec>(codec),
                                      pointer<std::uint32_t>(out));
            }),
            "decode_indices", "WireError");
}

void random_indices_at(uint64_t n, uint64_t k, std::uint32_t seed, std::uint32_t key,
                       std::uint32_t step, Address bitmap, Address out) {
    without_lock([&] {
        random_indices(n, k, {seed, key, step}, pointer<uint64_t>(bitmap),
                       pointer<std::uint32_t>(out));
    });
}

std::array<std::uint32_t, 4> philox4x32_of(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key) {
    return philox4x32(counter, key);
}

}  // namespace

void bind_codecs(pybind11::module_& module) {
    module.def("to_bfloat16", &to_bfloat16_at);
    module.def("from_bfloat16", &from_bfloat16_at);
    module.def("encoded_size", &encoded_size_of);
    module.def("encode_indices", &encode_indices_at);
    module.def("decode_indices", &decode_indices_at);
    module.def("random_indices_words", &random_indices_words);
    module.def("random_indices", &random_indices_at);
    module.def("philox4x32", &philox4x32_of);
}

}  // namespace gradwire::bindings
