// The k-th largest magnitude in two reads of x, 2 sizeof(T) bytes per element, whatever x holds:
// the first counts the 13 leading bits in tables of the blocks, and the second the 18 others of
// what falls into the bin of the k-th, in a table of the grid (tally.h). The block that is through
// last looks for the bin, so nothing waits in between.
#include "gradwire/magnitude.h"
#include "queue.h"
#include "statistics.h"
#include "sweep.h"
#include "tally.h"

namespace gradwire {
inline namespace cuda {
namespace {

constexpr unsigned kCounting = 512;
constexpr unsigned kTablesPerProcessor = 4;

constexpr unsigned kRestBits = kMagnitudeBits - kTableBits;
// The rest is counted by its leading bits as well: one bin for each thread that looks for the k-th.
constexpr unsigned kMiddleBits = 9;
constexpr unsigned kLastBits = kRestBits - kMiddleBits;
static_assert(kCounting == 1U << kMiddleBits && kCounting == 1U << kLastBits);

struct Work {
    std::uint32_t leading[1U << kTableBits];
    std::uint32_t middle[1U << kMiddleBits];
    std::uint32_t rest[1U << kRestBits];
    std::uint32_t arrived[2];
    TableBin bin;  // of the leading bits
};

template <typename T>
__global__ void __launch_bounds__(kCounting, 2)
    leading_kernel(const T* x, std::uint64_t n, std::uint64_t k, Work* work, float* result) {
    GRADWIRE_SHARED(Tables, tables);
    std::uint32_t* const own = begin_tables(tables, kTableBits);
    sweep(x, n, [&](float value) {
        const std::uint32_t bits = magnitude(value);
        if (bits != 0) {
            atomicAdd(own + (bits >> kRestBits), 1U);
        }
    });
    end_tables(tables, kTableBits, work->leading);
    if (is_last_block(&work->arrived[0])) {
        const TableBin bin = find_table_bin<(1U << kTableBits) / kCounting>(work->leading, k);
        if (threadIdx.x == 0) {
            work->bin = bin;
            *result = 0.0F;
        }
    }
}

template <typename T>
__global__ void __launch_bounds__(kCounting, 2)
    rest_kernel(const T* x, std::uint64_t n, std::uint64_t k, Work* work, float* result) {
    struct Middle {
        std::uint32_t counts[1U << kMiddleBits];
    };
    GRADWIRE_SHARED(Slots, slots);
    GRADWIRE_SHARED(Middle, middle);
    const TableBin bin = work->bin;
    if (!bin.found) {
        return;
    }
    middle.counts[threadIdx.x] = 0;
    begin_slots(slots);
    sweep(x, n, [&](float value) {
        const std::uint32_t bits = magnitude(value);
        if (bits != 0 && bits >> kRestBits == bin.number) {
            const std::uint32_t rest = bits & ((1U << kRestBits) - 1);
            atomicAdd(&middle.counts[rest >> kLastBits], 1U);
            count_one(slots, rest, work->rest);
        }
    });
    end_slots(slots, work->rest);
    if (middle.counts[threadIdx.x] != 0) {
        atomicAdd(&work->middle[threadIdx.x], middle.counts[threadIdx.x]);
    }
    if (is_last_block(&work->arrived[1])) {
        const TableBin upper = find_table_bin<1>(work->middle, k - bin.above);
        const TableBin last = find_table_bin<1>(
            work->rest + (std::uint64_t{upper.number} << kLastBits), k - bin.above - upper.above);
        if (threadIdx.x == 0) {
            *result = bits_float(bin.number << kRestBits | upper.number << kLastBits | last.number);
        }
    }
}

}  // namespace

std::uint64_t kth_magnitude_workspace(std::uint64_t) noexcept {
    return sizeof(Work);
}

template <typename T>
void enqueue_kth_magnitude(const T* x, std::uint64_t n, std::uint64_t k, void* workspace,
                           float* result) noexcept {
    auto* const work = static_cast<Work*>(workspace);
    set_bytes(work, 0, sizeof *work);
    const unsigned blocks = sweep_blocks<T>(n, kCounting, kTablesPerProcessor);
    launch(blocks, kCounting, leading_kernel<T>, x, n, k, work, result);
    launch(blocks, kCounting, rest_kernel<T>, x, n, k, work, result);
}

template <typename T>
Status kth_magnitude(const T* x, std::uint64_t n, std::uint64_t k, Workspace workspace,
                     float* result) noexcept {
    if (workspace.bytes < kth_magnitude_workspace(n)) {
        return Status::workspace_too_small;
    }
    const Scratch found(sizeof(float));
    enqueue_kth_magnitude(x, n, k, workspace.memory, found.as<float>());
    *result = fetch(found.as<float>());
    return Status::ok;
}

#define GRADWIRE_INSTANTIATE(T)                                                        \
    template void enqueue_kth_magnitude(const T*, std::uint64_t, std::uint64_t, void*, \
                                        float*) noexcept;                              \
    template Status kth_magnitude(const T*, std::uint64_t, std::uint64_t, Workspace,   \
                                  float*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace cuda
}  // namespace gradwire
