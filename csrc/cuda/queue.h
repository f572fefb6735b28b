// Where the operations of this thread run: a GPU and one of its streams. The caller (the bindings)
// says which before it calls any; all work goes there in order, and only `fetch` waits for it.
//
// What goes wrong on the way is kept for the caller to ask for: operations return nothing then that
// means anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "simt.h"

namespace gradwire {
inline namespace cuda {

struct Queue {
    int device;
    void* stream;  // cudaStream_t
};

// Of this thread; until it is set, the default stream of device 0.
Queue queue() noexcept;

// Makes the device current as well; returns the device that was.
int use_queue(Queue queue) noexcept;
void restore_device(int device) noexcept;
// Whose memory an address is in; 0 if that cannot be told.
int device_of(const void* memory) noexcept;

// What went wrong since the last call, or null; in words that live as long as the program.
const char* take_failure() noexcept;

// Memory of the queue's device, from the stream's own pool: neither taking nor returning it waits.
class Scratch {
  public:
    explicit Scratch(std::uint64_t bytes) noexcept;
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    template <typename T>
    T* as(std::uint64_t first_byte = 0) const noexcept {
        return reinterpret_cast<T*>(static_cast<char*>(memory_) + first_byte);
    }

  private:
    void* memory_ = nullptr;
};

void set_bytes(void* memory, int value, std::uint64_t bytes) noexcept;
// Copies between the device and the host; `host` may be reused at once.
void send_bytes(void* memory, const void* host, std::uint64_t bytes) noexcept;
// Waits for all work of the queue.
void fetch_bytes(void* host, const void* memory, std::uint64_t bytes) noexcept;

template <typename T>
T fetch(const T* memory) noexcept {
    T value{};
    fetch_bytes(&value, memory, sizeof value);
    return value;
}

// Processors (SMs) of the queue's device.
unsigned processors() noexcept;

// ---- launches ----

constexpr unsigned kThreads = 256;  // of a block, where nothing speaks for another number

inline unsigned blocks_for(std::uint64_t work, std::uint64_t of_block) noexcept {
    return static_cast<unsigned>((work + of_block - 1) / of_block);
}

#if defined(__CUDACC__)
void launch_kernel(const void* kernel, unsigned blocks, unsigned threads,
                   void** parameters) noexcept;
#endif

// Puts a kernel on the queue, if there is a block.
template <typename... Parameters, typename... Arguments>
void launch(unsigned blocks, unsigned threads, void (*kernel)(Parameters...),
            Arguments... arguments) noexcept {
    if (blocks == 0) {
        return;
    }
#if defined(__CUDACC__)
    std::tuple<Parameters...> values(arguments...);
    std::apply(
        [&](auto&... each) {
            void* parameters[] = {&each...};
            launch_kernel(reinterpret_cast<const void*>(kernel), blocks, threads, parameters);
        },
        values);
#else
    emulation::launch({blocks, 1, 1}, {threads, 1, 1}, kernel, arguments...);
#endif
}

}  // namespace cuda
}  // namespace gradwire
