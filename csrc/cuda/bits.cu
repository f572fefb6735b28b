// Codes to bit planes and back: 1 + bits / 8 bytes per code, each once. A warp has a chunk of 512
// codes, 16 a lane, which transposes their bits.
#include "bit_planes.h"
#include "bits.h"
#include "byte_runs.h"
#include "refusal.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kWarps = kThreads / kWarp;

struct Rooms {
    ByteRoom<1> of_warp[kWarps];
};

// The chunk of this warp.
struct Chunk {
    std::uint64_t begin;
    std::uint64_t size;  // 0 behind the last one

    GRADWIRE_DEVICE static Chunk own(std::uint64_t n) {
        const std::uint64_t begin = (std::uint64_t{blockIdx.x} * kWarps + warp()) * kPackedChunk;
        const std::uint64_t left = begin < n ? n - begin : 0;
        return {begin, left < kPackedChunk ? left : kPackedChunk};
    }
};

__global__ void __launch_bounds__(kThreads)
    pack_kernel(const std::uint8_t* codes, std::uint64_t n, unsigned bits, std::uint8_t* out,
                std::uint32_t* status) {
    GRADWIRE_SHARED(Rooms, rooms);
    const Chunk chunk = Chunk::own(n);
    if (chunk.size == 0) {
        return;
    }
    const uint4 own = load_unit(codes + chunk.begin, chunk.size, rooms.of_warp[warp()]);
    refuse_if(united_from(own, 0) >> bits != 0, Status::code_too_large, status);
    store_planes(own, chunk.size, bits, out + bits * (chunk.begin / 8));
}

__global__ void __launch_bounds__(kThreads)
    unpack_kernel(const std::uint8_t* data, std::uint64_t n, unsigned bits, std::uint8_t* out,
                  std::uint32_t* status) {
    GRADWIRE_SHARED(Rooms, rooms);
    const Chunk chunk = Chunk::own(n);
    if (chunk.size == 0) {
        return;
    }
    const uint4 own = load_planes(data + bits * (chunk.begin / 8), chunk.size, bits);
    if (chunk.size < kPackedChunk) {
        refuse_if(united_from(own, own_codes(chunk.size)) != 0, Status::nonzero_padding, status);
    }
    store_unit(out + chunk.begin, chunk.size, own, rooms.of_warp[warp()]);
}

unsigned blocks(std::uint64_t n) noexcept {
    return blocks_for(n, kWarps * kPackedChunk);
}

}  // namespace

void enqueue_pack_bits(const std::uint8_t* codes, std::uint64_t n, unsigned bits, std::uint8_t* out,
                       std::uint32_t* status) noexcept {
    begin_status(status);
    launch(blocks(n), kThreads, pack_kernel, codes, n, bits, out, status);
}

void enqueue_unpack_bits(const std::uint8_t* data, std::uint64_t n, unsigned bits,
                         std::uint8_t* out, std::uint32_t* status) noexcept {
    begin_status(status);
    launch(blocks(n), kThreads, unpack_kernel, data, n, bits, out, status);
}

Status pack_bits(const std::uint8_t* codes, std::uint64_t n, unsigned bits,
                 std::uint8_t* out) noexcept {
    const Scratch status(sizeof(std::uint32_t));
    enqueue_pack_bits(codes, n, bits, out, status.as<std::uint32_t>());
    return fetch_status(status.as<std::uint32_t>());
}

Status unpack_bits(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t n, unsigned bits,
                   std::uint8_t* out) noexcept {
    if (bytes != packed_size(n, bits)) {
        return Status::wrong_length;
    }
    const Scratch status(sizeof(std::uint32_t));
    enqueue_unpack_bits(data, n, bits, out, status.as<std::uint32_t>());
    return fetch_status(status.as<std::uint32_t>());
}

}  // namespace cuda
}  // namespace gradwire
