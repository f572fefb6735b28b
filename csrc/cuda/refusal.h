// What kernels find wrong with their input: the highest status, in a word of the device's memory.
#pragma once

#include <cstdint>

#include "gradwire/status.h"
#include "queue.h"

namespace gradwire {
inline namespace cuda {

inline void begin_status(std::uint32_t* status) noexcept {
    set_bytes(status, 0, sizeof *status);
}

// Waits for all work of the queue.
inline Status fetch_status(const std::uint32_t* status) noexcept {
    return static_cast<Status>(fetch(status));
}

// By all lanes of a warp.
GRADWIRE_DEVICE void refuse_if(bool wrong, Status why, std::uint32_t* status) {
    if (__any_sync(kFullWarp, wrong) != 0 && lane() == 0) {
        atomicMax(status, static_cast<std::uint32_t>(why));
    }
}

}  // namespace cuda
}  // namespace gradwire
