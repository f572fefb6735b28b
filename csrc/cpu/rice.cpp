#include <algorithm>

#include "gap_codes.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
std::uint64_t encode_rice(Places places, std::uint8_t* out) noexcept {
    const std::uint64_t length = places.range.length;
    BitWriter writer(out, encoded_size(places.count, length, IndexCodec::rice).max);
    std::uint32_t least = places.range.begin;
    for (std::uint64_t begin = 0; begin < places.count; begin += kRiceBlock) {
        const std::uint64_t count = std::min(kRiceBlock, places.count - begin);
        const std::uint32_t* const indices = places.indices + begin;
        const std::uint64_t span = std::uint64_t{indices[count - 1] - least} + 1;
        const std::uint64_t r = rice_parameter(count, span);
        writer.put(r, kParameterBits);
        put_gaps(Rice(r, length), indices, count, &least, &writer);
    }
    return writer.finish();
}

Status decode_rice(Encoded message, std::uint32_t* out) noexcept {
    GapReader reader(message);
    for (std::uint64_t begin = 0; begin < message.count; begin += kRiceBlock) {
        const std::uint64_t count = std::min(kRiceBlock, message.count - begin);
        const std::uint64_t least = reader.least();
        const std::uint64_t r = reader.field(kParameterBits);
        const Rice code(r, message.range.length);
        const Status status = reader.read(code, count, out + begin);
        if (status != Status::ok) {
            return status;
        }
        if (r != rice_parameter(count, reader.least() - least)) {
            return Status::wrong_parameter;
        }
    }
    return reader.finish();
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
