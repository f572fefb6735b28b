#include "gap_codes.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
std::uint64_t encode_gamma(Places places, std::uint8_t* out) noexcept {
    return encode_gaps(Gamma(0), places, IndexCodec::elias_gamma, out);
}

std::uint64_t encode_delta(Places places, std::uint8_t* out) noexcept {
    return encode_gaps(Delta(0), places, IndexCodec::elias_delta, out);
}

Status decode_gamma(Encoded message, std::uint32_t* out) noexcept {
    const Gamma code(typical_log2(message.count, message.range.length));
    return decode_gaps(code, message, out);
}

Status decode_delta(Encoded message, std::uint32_t* out) noexcept {
    const Delta code(typical_log2(message.count, message.range.length));
    return decode_gaps(code, message, out);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
