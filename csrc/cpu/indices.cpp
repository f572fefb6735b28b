#include "gradwire/indices.h"

#include "increasing.h"
#include "index_codecs.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

struct Codec {
    EncodedSize (*size)(std::uint64_t count, std::uint64_t length) noexcept;
    std::uint64_t (*encode)(Places places, std::uint8_t* out) noexcept;
    Status (*decode)(Encoded message, std::uint32_t* out) noexcept;
};

// In the order of IndexCodec.
constexpr Codec kCodecs[] = {
    {&u32_size, &encode_u32, &decode_u32},          {&tile16_size, &encode_tile16, &decode_tile16},
    {&bitmap_size, &encode_bitmap, &decode_bitmap}, {&rice_size, &encode_rice, &decode_rice},
    {&gamma_size, &encode_gamma, &decode_gamma},    {&delta_size, &encode_delta, &decode_delta},
};

const Codec& find(IndexCodec codec) noexcept {
    return kCodecs[static_cast<std::int32_t>(codec)];
}

bool fixed(IndexCodec codec) noexcept {
    return codec == IndexCodec::u32 || codec == IndexCodec::tile16;
}

}  // namespace

EncodedSize encoded_size(std::uint64_t count, std::uint64_t length, IndexCodec codec) noexcept {
    // No range has more indices than places; such a count is refused where it is used.
    const std::uint64_t possible = fixed(codec) || count < length ? count : length;
    return find(codec).size(possible, length);
}

Status encode_indices(const std::uint32_t* indices, std::uint64_t count, IndexRange range,
                      IndexCodec codec, std::uint8_t* out, std::uint64_t* written) noexcept {
    if (!strictly_increasing(indices, count)) {
        return Status::not_increasing;
    }
    if (count > 0 &&
        (indices[0] < range.begin || indices[count - 1] - range.begin >= range.length)) {
        return Status::index_out_of_range;
    }
    *written = find(codec).encode({indices, count, range}, out);
    return Status::ok;
}

Status decode_indices(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t count,
                      IndexRange range, IndexCodec codec, std::uint32_t* out) noexcept {
    const EncodedSize size = encoded_size(count, range.length, codec);
    if (bytes < size.min || bytes > size.max) {
        return Status::wrong_length;
    }
    if (count > range.length) {
        return Status::count_mismatch;
    }
    return find(codec).decode({data, bytes, count, range}, out);
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
