#include "gradwire/threads.h"

#include <atomic>

namespace gradwire {
namespace {

std::atomic<int> wanted{1};

}  // namespace

bool has_threads() noexcept {
#if defined(_OPENMP)
    return true;
#else
    return false;
#endif
}

int threads() noexcept {
    return wanted.load(std::memory_order_relaxed);
}

void set_threads(int count) noexcept {
    if (has_threads() && count >= 1 && count <= kMaxThreads) {
        wanted.store(count, std::memory_order_relaxed);
    }
}

}  // namespace gradwire
