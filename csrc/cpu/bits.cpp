#include "gradwire/bits.h"

#include <cstring>

#include "bytes.h"
#include "little_endian.h"
#include "parallel.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

constexpr std::uint64_t plane_bytes(std::uint64_t n) noexcept {
    return (n + 7) / 8;
}

// The bits that occur in any byte.
std::uint32_t united(Bytes x) noexcept {
    std::uint8_t lanes[kByteLanes];
    store_bytes(lanes, x);
    std::uint32_t all = 0;
    for (const std::uint8_t lane : lanes) {
        all |= lane;
    }
    return all;
}

// Packs m <= 512 codes and returns them united with those seen before.
template <unsigned bits>
Bytes pack_chunk(const std::uint8_t* codes, std::uint64_t m, Bytes seen,
                 std::uint8_t* out) noexcept {
    const std::uint64_t plane = plane_bytes(m);
    std::uint64_t i = 0;
    for (; i + kByteLanes <= m; i += kByteLanes) {
        const Bytes x = load_bytes(codes + i);
        seen = seen | x;
        for (unsigned j = 0; j < bits; ++j) {
            put_u64(out + j * plane + i / 8, bytes_with(x, j));
        }
    }
    if (i < m) {
        std::uint8_t rest[kByteLanes] = {};
        std::memcpy(rest, codes + i, m - i);
        const Bytes x = load_bytes(rest);
        seen = seen | x;
        for (unsigned j = 0; j < bits; ++j) {
            put_part(out + j * plane + i / 8, plane - i / 8, bytes_with(x, j));
        }
    }
    return seen;
}

// Unpacks m <= 512 codes; returns whether the unused bits are zero.
template <unsigned bits>
bool unpack_chunk(const std::uint8_t* data, std::uint64_t m, std::uint8_t* out) noexcept {
    const std::uint64_t plane = plane_bytes(m);
    std::uint64_t i = 0;
    for (; i + kByteLanes <= m; i += kByteLanes) {
        Bytes x = no_bytes();
        for (unsigned j = 0; j < bits; ++j) {
            x = set_bit(x, j, get_u64(data + j * plane + i / 8));
        }
        store_bytes(out + i, x);
    }
    if (i == m) {
        return true;
    }
    Bytes x = no_bytes();
    for (unsigned j = 0; j < bits; ++j) {
        x = set_bit(x, j, get_part(data + j * plane + i / 8, plane - i / 8));
    }
    std::uint8_t rest[kByteLanes];
    store_bytes(rest, x);
    std::memcpy(out + i, rest, m - i);
    std::uint32_t padding = 0;
    for (std::uint64_t j = m - i; j < kByteLanes; ++j) {
        padding |= rest[j];
    }
    return padding == 0;
}

template <unsigned bits>
Status pack_part(const std::uint8_t* codes, std::uint64_t n, std::uint8_t* out) noexcept {
    Bytes seen = no_bytes();
    for (std::uint64_t i = 0; i < n; i += kPackedChunk) {
        const std::uint64_t m = n - i < kPackedChunk ? n - i : kPackedChunk;
        seen = pack_chunk<bits>(codes + i, m, seen, out + bits * (i / 8));
    }
    return united(seen) >> bits == 0 ? Status::ok : Status::code_too_large;
}

template <unsigned bits>
Status pack(const std::uint8_t* codes, std::uint64_t n, std::uint8_t* out) noexcept {
    return check_in_parallel(n, kPackedChunk, [=](std::uint64_t begin, std::uint64_t end) {
        return pack_part<bits>(codes + begin, end - begin, out + bits * (begin / 8));
    });
}

template <unsigned bits>
Status unpack_part(const std::uint8_t* data, std::uint64_t n, std::uint8_t* out) noexcept {
    bool clean = true;
    for (std::uint64_t i = 0; i < n; i += kPackedChunk) {
        const std::uint64_t m = n - i < kPackedChunk ? n - i : kPackedChunk;
        clean &= unpack_chunk<bits>(data + bits * (i / 8), m, out + i);
    }
    return clean ? Status::ok : Status::nonzero_padding;
}

template <unsigned bits>
Status unpack(const std::uint8_t* data, std::uint64_t n, std::uint8_t* out) noexcept {
    return check_in_parallel(n, kPackedChunk, [=](std::uint64_t begin, std::uint64_t end) {
        return unpack_part<bits>(data + bits * (begin / 8), end - begin, out + begin);
    });
}

using Pack = Status (*)(const std::uint8_t*, std::uint64_t, std::uint8_t*) noexcept;
constexpr Pack kPack[kMaxCodeBits] = {&pack<1>, &pack<2>, &pack<3>, &pack<4>,
                                      &pack<5>, &pack<6>, &pack<7>, &pack<8>};
constexpr Pack kUnpack[kMaxCodeBits] = {&unpack<1>, &unpack<2>, &unpack<3>, &unpack<4>,
                                        &unpack<5>, &unpack<6>, &unpack<7>, &unpack<8>};

}  // namespace

Status pack_bits(const std::uint8_t* codes, std::uint64_t n, unsigned bits,
                 std::uint8_t* out) noexcept {
    return kPack[bits - 1](codes, n, out);
}

Status unpack_bits(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t n, unsigned bits,
                   std::uint8_t* out) noexcept {
    if (bytes != packed_size(n, bits)) {
        return Status::wrong_length;
    }
    return kUnpack[bits - 1](data, n, out);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
