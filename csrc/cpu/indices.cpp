#include "gradwire/indices.h"

#include "increasing.h"
#include "index_codecs.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

struct Codec {
    std::uint64_t (*encode)(Places places, std::uint8_t* out) noexcept;
    Status (*decode)(Encoded message, std::uint32_t* out) noexcept;
};

// In the order of IndexCodec.
constexpr Codec kCodecs[] = {
    {&encode_u32, &decode_u32},       {&encode_tile16, &decode_tile16},
    {&encode_bitmap, &decode_bitmap}, {&encode_rice, &decode_rice},
    {&encode_gamma, &decode_gamma},   {&encode_delta, &decode_delta},
};

const Codec& find(IndexCodec codec) noexcept {
    return kCodecs[static_cast<std::int32_t>(codec)];
}

}  // namespace

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
