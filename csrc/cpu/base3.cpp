#include <cstring>

#include "gradwire/bits.h"
#include "gradwire/trits.h"
#include "little_endian.h"
#include "parallel.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

// A multiple of five codes that stays in the first-level cache between two looks at it.
constexpr std::uint64_t kCodesAtATime = 4095;

std::uint32_t largest(const std::uint8_t* values, std::uint64_t n) noexcept {
    std::uint8_t most = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
        most = values[i] > most ? values[i] : most;
    }
    return most;
}

// For each byte, its five trits as the lowest bytes of a word.
struct Trits {
    std::uint64_t of[256];
};
constexpr Trits make_trits() noexcept {
    Trits trits{};
    for (std::uint32_t byte = 0; byte < kByteValues; ++byte) {
        trits.of[byte] = trits_of(byte);
    }
    return trits;
}
constexpr Trits kTritsOf = make_trits();

Status pack_part(const std::uint8_t* codes, std::uint64_t n, std::uint8_t* out) noexcept {
    const std::uint64_t readable = n < 8 ? 0 : n - 7;  // below it, eight codes can be read for five
    std::uint64_t i = 0;
    for (std::uint64_t begin = 0; begin < n; begin += kCodesAtATime) {
        const std::uint64_t end = n - begin < kCodesAtATime ? n : begin + kCodesAtATime;
        if (largest(codes + begin, end - begin) > 2) {
            return Status::code_too_large;
        }
        for (const std::uint64_t stop = end < readable ? end : readable; i < stop; i += kTrits) {
            out[i / kTrits] = five(get_u64(codes + i));
        }
    }
    for (; i < n; i += kTrits) {
        out[i / kTrits] = five(get_part(codes + i, n - i < kTrits ? n - i : kTrits));
    }
    return Status::ok;
}

Status unpack_part(const std::uint8_t* data, std::uint64_t n, std::uint8_t* out) noexcept {
    std::uint8_t most = 0;
    std::uint64_t i = 0;
    for (; i + 8 <= n; i += kTrits) {  // eight codes are written for five
        const std::uint8_t byte = data[i / kTrits];
        most = byte > most ? byte : most;
        put_u64(out + i, kTritsOf.of[byte]);
    }
    std::uint64_t behind = 0;  // trits of the last byte that are not codes
    for (; i < n; i += kTrits) {
        const std::uint8_t byte = data[i / kTrits];
        most = byte > most ? byte : most;
        const std::uint64_t codes = n - i < kTrits ? n - i : kTrits;
        put_part(out + i, codes, kTritsOf.of[byte]);
        behind = kTritsOf.of[byte] >> (8 * codes);
    }
    if (most >= kByteValues) {
        return Status::code_too_large;
    }
    return behind == 0 ? Status::ok : Status::nonzero_padding;
}

}  // namespace

Status pack_base3(const std::uint8_t* codes, std::uint64_t n, std::uint8_t* out) noexcept {
    return check_in_parallel(n, kTrits, [=](std::uint64_t begin, std::uint64_t end) {
        return pack_part(codes + begin, end - begin, out + begin / kTrits);
    });
}

Status unpack_base3(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t n,
                    std::uint8_t* out) noexcept {
    if (bytes != base3_size(n)) {
        return Status::wrong_length;
    }
    return check_in_parallel(n, kTrits, [=](std::uint64_t begin, std::uint64_t end) {
        return unpack_part(data + begin / kTrits, end - begin, out + begin);
    });
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
