// Five trits to a byte and back: 1.2 bytes per code, each once. A warp has a tile of 2560 codes, 80
// of them a lane, whose bytes go through the memory of the block: there lanes read and write what
// belongs together, in arrays what lies next to each other.
#include "bits.h"
#include "byte_runs.h"
#include "gradwire/trits.h"
#include "refusal.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kWarps = kThreads / kWarp;
constexpr unsigned kUnits = 5;  // of 16 codes, for 16 bytes
constexpr std::uint64_t kTile = kRunBytes<kUnits>;
constexpr std::uint64_t kTileBytes = kTile / kTrits;

struct Rooms {
    ByteRoom<kUnits> of_warp[kWarps];
};

// The 20 codes of four bytes.
struct Codes {
    std::uint32_t word[kUnits];
};

GRADWIRE_DEVICE std::uint64_t joined(std::uint32_t low, std::uint32_t high) {
    return low | std::uint64_t{high} << 32;
}

GRADWIRE_DEVICE std::uint32_t bytes_of(const Codes& codes) {
    const std::uint32_t* const w = codes.word;
    return five(joined(w[0], w[1])) | std::uint32_t{five(joined(w[1], w[2]) >> 8)} << 8 |
           std::uint32_t{five(joined(w[2], w[3]) >> 16)} << 16 |
           std::uint32_t{five(joined(w[3], w[4]) >> 24)} << 24;
}

GRADWIRE_DEVICE Codes codes_of(std::uint32_t bytes) {
    const std::uint64_t a = trits_of(bytes & 0xFFU), b = trits_of(bytes >> 8 & 0xFFU);
    const std::uint64_t c = trits_of(bytes >> 16 & 0xFFU), d = trits_of(bytes >> 24);
    return {{static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(a >> 32 | b << 8),
             static_cast<std::uint32_t>(b >> 24 | c << 16),
             static_cast<std::uint32_t>(c >> 16 | d << 24), static_cast<std::uint32_t>(d >> 8)}};
}

// 1 where a code is 3 or more.
GRADWIRE_DEVICE std::uint32_t no_trits(std::uint32_t codes) {
    return (codes & 0xFCFCFCFCU) | (codes & codes >> 1 & 0x01010101U);
}

// Of four bytes.
GRADWIRE_DEVICE bool any_too_large(std::uint32_t bytes) {
    bool any = false;
    for (unsigned i = 0; i < 4; ++i) {
        any = any || (bytes >> (8 * i) & 0xFFU) >= kByteValues;
    }
    return any;
}

GRADWIRE_DEVICE std::uint64_t own_tile() {
    return std::uint64_t{blockIdx.x} * kWarps + warp();
}

GRADWIRE_DEVICE std::uint64_t left_of(std::uint64_t all, std::uint64_t begin, std::uint64_t most) {
    const std::uint64_t left = begin < all ? all - begin : 0;
    return left < most ? left : most;
}

__global__ void __launch_bounds__(kThreads) pack_kernel(const std::uint8_t* codes, std::uint64_t n,
                                                        std::uint8_t* out, std::uint32_t* status) {
    GRADWIRE_SHARED(Rooms, rooms);
    const std::uint64_t begin = own_tile() * kTile;
    const std::uint64_t size = left_of(n, begin, kTile);
    if (size == 0) {
        return;
    }
    ByteRoom<kUnits>& room = rooms.of_warp[warp()];
    load_run<kUnits>(codes + begin, size, room);
    __syncwarp();
    Codes own[4];
    memcpy(own, room.unit + kUnits * lane(), sizeof own);
    std::uint32_t wrong = 0;
    for (const Codes& each : own) {
        for (const std::uint32_t word : each.word) {
            wrong |= no_trits(word);
        }
    }
    refuse_if(wrong != 0, Status::code_too_large, status);
    const uint4 packed{bytes_of(own[0]), bytes_of(own[1]), bytes_of(own[2]), bytes_of(own[3])};
    __syncwarp();
    store_unit(out + own_tile() * kTileBytes, (size + kTrits - 1) / kTrits, packed, room);
}

__global__ void __launch_bounds__(kThreads)
    unpack_kernel(const std::uint8_t* data, std::uint64_t n, std::uint8_t* out,
                  std::uint32_t* status) {
    GRADWIRE_SHARED(Rooms, rooms);
    const std::uint64_t begin = own_tile() * kTile;
    const std::uint64_t size = left_of(n, begin, kTile);
    if (size == 0) {
        return;
    }
    ByteRoom<kUnits>& room = rooms.of_warp[warp()];
    const uint4 packed =
        load_unit(data + own_tile() * kTileBytes, (size + kTrits - 1) / kTrits, room);
    refuse_if(any_too_large(packed.x) || any_too_large(packed.y) || any_too_large(packed.z) ||
                  any_too_large(packed.w),
              Status::code_too_large, status);
    __syncwarp();
    const Codes own[] = {codes_of(packed.x), codes_of(packed.y), codes_of(packed.z),
                         codes_of(packed.w)};
    memcpy(room.unit + kUnits * lane(), own, sizeof own);
    __syncwarp();
    store_run<kUnits>(out + begin, size, room);
    if (size % kTrits != 0) {  // the last byte has trits behind the last code
        const std::uint64_t i = size + lane();
        refuse_if(lane() < kTrits - size % kTrits && room.bytes()[i] != 0, Status::nonzero_padding,
                  status);
    }
}

unsigned blocks(std::uint64_t n) noexcept {
    return blocks_for(n, kWarps * kTile);
}

}  // namespace

void enqueue_pack_base3(const std::uint8_t* codes, std::uint64_t n, std::uint8_t* out,
                        std::uint32_t* status) noexcept {
    begin_status(status);
    launch(blocks(n), kThreads, pack_kernel, codes, n, out, status);
}

void enqueue_unpack_base3(const std::uint8_t* data, std::uint64_t n, std::uint8_t* out,
                          std::uint32_t* status) noexcept {
    begin_status(status);
    launch(blocks(n), kThreads, unpack_kernel, data, n, out, status);
}

Status pack_base3(const std::uint8_t* codes, std::uint64_t n, std::uint8_t* out) noexcept {
    const Scratch status(sizeof(std::uint32_t));
    enqueue_pack_base3(codes, n, out, status.as<std::uint32_t>());
    return fetch_status(status.as<std::uint32_t>());
}

Status unpack_base3(const std::uint8_t* data, std::uint64_t bytes, std::uint64_t n,
                    std::uint8_t* out) noexcept {
    if (bytes != base3_size(n)) {
        return Status::wrong_length;
    }
    const Scratch status(sizeof(std::uint32_t));
    enqueue_unpack_base3(data, n, out, status.as<std::uint32_t>());
    return fetch_status(status.as<std::uint32_t>());
}

}  // namespace cuda
}  // namespace gradwire
