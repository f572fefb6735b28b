// Every element that reaches a threshold, in one pass: each tile's elements stay in registers until
// look-back tells where its entries go. Moves what the source reads and writes (4 bytes per element
// of float32, 12 compensated, 20 with momentum) and 8 bytes per entry.
#include "compact.h"
#include "queue.h"
#include "select.h"
#include "sources.h"

namespace gradwire {
inline namespace cuda {
namespace {

template <typename Source>
__global__ void __launch_bounds__(kThreads)
    select_kernel(Source source, std::uint64_t n, Given threshold, Entries out, Lookback look,
                  Selection* result) {
    GRADWIRE_SHARED(LookbackRoom, room);
    const float limit = threshold.get();
    compact(room, look, source, n, floor_magnitude(limit), out, [=](std::uint64_t found) {
        *result = {found < out.capacity ? found : out.capacity, found,
                   bits_float(magnitude(limit))};
    });
}

constexpr std::uint64_t kTicketBytes = 64;

template <typename Source>
void enqueue(const Source& source, std::uint64_t n, Given threshold, const Entries& out,
             void* workspace, Selection* result) noexcept {
    set_bytes(workspace, 0, enqueued_select_workspace(n));
    auto* const memory = static_cast<char*>(workspace);
    const Lookback look{reinterpret_cast<std::uint64_t*>(memory + kTicketBytes),
                        reinterpret_cast<std::uint32_t*>(memory), 1};
    launch(blocks_of_tiles(n == 0 ? 1 : tiles_of(n)), kThreads, select_kernel<Source>, source, n,
           threshold, out, look, result);
}

// Calls work(workspace, result), which enqueues a selection, and waits for it.
template <typename Work>
void wait_for(std::uint64_t n, Selection* result, Work work) noexcept {
    const std::uint64_t bytes = enqueued_select_workspace(n);
    const Scratch scratch(bytes + sizeof *result);
    auto* const found = scratch.as<Selection>(bytes);
    work(scratch.as<void>(), found);
    *result = fetch(found);
}

}  // namespace

std::uint64_t enqueued_select_workspace(std::uint64_t n) noexcept {
    return kTicketBytes + (n == 0 ? 1 : tiles_of(n)) * sizeof(std::uint64_t);
}

template <typename T>
void enqueue_select(const T* x, std::uint64_t n, Given threshold, Entries out, void* workspace,
                    Selection* result) noexcept {
    enqueue(Plain<T>{x}, n, threshold, out, workspace, result);
}

template <typename T>
void enqueue_compensate_select(const T* gradient, const float* residual, std::uint64_t n,
                               Given threshold, float* acc, Entries out, void* workspace,
                               Selection* result) noexcept {
    enqueue(Compensated<T>{gradient, residual, acc}, n, threshold, out, workspace, result);
}

template <typename T>
void enqueue_momentum_select(const Momentum<T>& arrays, std::uint64_t n, Given threshold,
                             Entries out, void* workspace, Selection* result) noexcept {
    if (arrays.nesterov) {
        enqueue(MomentumCorrected<T, true>{arrays}, n, threshold, out, workspace, result);
    } else {
        enqueue(MomentumCorrected<T, false>{arrays}, n, threshold, out, workspace, result);
    }
}

template <typename T>
void select(const T* x, std::uint64_t n, float threshold, Entries out, Selection* result) noexcept {
    wait_for(n, result, [&](void* workspace, Selection* found) {
        enqueue_select(x, n, given(threshold), out, workspace, found);
    });
}

template <typename T>
void compensate_select(const T* gradient, const float* residual, std::uint64_t n, float threshold,
                       float* acc, Entries out, Selection* result) noexcept {
    wait_for(n, result, [&](void* workspace, Selection* found) {
        enqueue_compensate_select(gradient, residual, n, given(threshold), acc, out, workspace,
                                  found);
    });
}

template <typename T>
void momentum_select(const Momentum<T>& arrays, std::uint64_t n, float threshold, Entries out,
                     Selection* result) noexcept {
    wait_for(n, result, [&](void* workspace, Selection* found) {
        enqueue_momentum_select(arrays, n, given(threshold), out, workspace, found);
    });
}

#define GRADWIRE_INSTANTIATE(T)                                                                    \
    template void enqueue_select(const T*, std::uint64_t, Given, Entries, void*,                   \
                                 Selection*) noexcept;                                             \
    template void enqueue_compensate_select(const T*, const float*, std::uint64_t, Given, float*,  \
                                            Entries, void*, Selection*) noexcept;                  \
    template void enqueue_momentum_select(const Momentum<T>&, std::uint64_t, Given, Entries,       \
                                          void*, Selection*) noexcept;                             \
    template void select(const T*, std::uint64_t, float, Entries, Selection*) noexcept;            \
    template void compensate_select(const T*, const float*, std::uint64_t, float, float*, Entries, \
                                    Selection*) noexcept;                                          \
    template void momentum_select(const Momentum<T>&, std::uint64_t, float, Entries,               \
                                  Selection*) noexcept;
GRADWIRE_INSTANTIATE(float)
GRADWIRE_INSTANTIATE(bfloat16)
GRADWIRE_INSTANTIATE(float16)
GRADWIRE_INSTANTIATE(double)
#undef GRADWIRE_INSTANTIATE

}  // namespace cuda
}  // namespace gradwire
