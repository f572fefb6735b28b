#include "emulation.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#if defined(__x86_64__)

// Saves this stack in *own and goes on with another: what a call does not preserve is of no
// interest. swapcontext asks the system for signal masks each time, which takes most of a test.
extern "C" void gradwire_switch_stacks(void** own, void* other) noexcept;
__asm__(
    ".text\n"
    ".p2align 4\n"
    ".hidden gradwire_switch_stacks\n"
    ".globl gradwire_switch_stacks\n"
    ".type gradwire_switch_stacks, @function\n"
    "gradwire_switch_stacks:\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n"
    ".size gradwire_switch_stacks, . - gradwire_switch_stacks\n");

#else
#include <ucontext.h>
#endif

namespace gradwire::emulation {
namespace {

#if defined(__x86_64__)

struct Context {
    void* stack_pointer;
};

void prepare(Context& context, char* stack, std::size_t bytes, void (*entry)()) {
    constexpr std::size_t kSaved = 6;  // registers
    const auto top = (reinterpret_cast<std::uintptr_t>(stack) + bytes) & ~std::uintptr_t{15};
    auto* const words = reinterpret_cast<std::uintptr_t*>(top) - 2 - kSaved;
    for (std::size_t i = 0; i < kSaved; ++i) {
        words[i] = 0;
    }
    words[kSaved] = reinterpret_cast<std::uintptr_t>(entry);
    words[kSaved + 1] = 0;  // it never returns
    context.stack_pointer = words;
}

void switch_to(Context& from, Context& to) {
    gradwire_switch_stacks(&from.stack_pointer, to.stack_pointer);
}

#else

using Context = ucontext_t;

void prepare(Context& context, char* stack, std::size_t bytes, void (*entry)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = bytes;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
}

void switch_to(Context& from, Context& to) {
    swapcontext(&from, &to);
}

#endif

constexpr unsigned kLanes = 32;
constexpr std::size_t kStack = std::size_t{64} << 10;
constexpr unsigned kBlocksAtOnce = 3;
constexpr std::uint64_t kLongestWait =
    10'000'000;  // rounds of all threads in which nothing happens

[[noreturn]] void wrong(const char* what) {
    std::fprintf(stderr, "emulated CUDA kernel: %s\n", what);
    std::abort();
}

struct Fiber {
    Context context{};
    std::unique_ptr<char[]> stack{new char[kStack]};
    Place place;
    bool running = false;
    bool waiting = false;  // for its block or warp
};

struct Warp {
    std::uint64_t words[2][kLanes];
    unsigned turn = 0;
    unsigned arrived = 0;
};

struct Shared {
    const char* file;
    int line;
    std::size_t bytes;
    std::unique_ptr<std::uint64_t[]> memory;
};

struct Block {
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    std::vector<Shared> shared;
    unsigned arrived = 0;
    unsigned live = 0;
};

struct Machine {
    Context scheduler{};
    Block* block = nullptr;  // of the thread that runs
    Fiber* fiber = nullptr;
    Entry entry = nullptr;
    void* work = nullptr;
    bool progress = false;
    std::uint32_t order = 1;  // of a sequence that looks random
    std::vector<std::unique_ptr<Block>> blocks;
};

std::mutex& one_launch_at_a_time() {
    static std::mutex mutex;
    return mutex;
}

Machine& machine() {
    static Machine only;
    return only;
}

void suspend() {
    Machine& m = machine();
    switch_to(m.fiber->context, m.scheduler);
}

void fiber_main() {
    Machine& m = machine();
    m.entry(m.work);
    m.fiber->running = false;
    --m.block->live;
    m.progress = true;
    suspend();
}

void wake(Fiber* first, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        first[i].waiting = false;
    }
    machine().progress = true;
}

void begin(Block& block, unsigned index, dim3 grid, dim3 size) {
    block.fibers.resize(size.x);
    block.warps.assign(size.x / kLanes, Warp{});
    for (Shared& each : block.shared) {
        std::memset(each.memory.get(), 0xCD, each.bytes);
    }
    block.arrived = 0;
    block.live = size.x;
    for (unsigned i = 0; i < size.x; ++i) {
        Fiber& fiber = block.fibers[i];
        fiber.place = {{i, 0, 0}, {index, 0, 0}, size, grid};
        fiber.running = true;
        fiber.waiting = false;
        prepare(fiber.context, fiber.stack.get(), kStack, fiber_main);
    }
}

// Runs every thread of a block that can go on until it waits, from a place that changes.
void advance(Block& block) {
    Machine& m = machine();
    m.block = &block;
    const auto count = static_cast<unsigned>(block.fibers.size());
    m.order = m.order * 1664525U + 1013904223U;
    const unsigned first = m.order >> 8;
    const bool backwards = (m.order >> 7 & 1U) != 0;
    unsigned at = first % count;
    for (unsigned i = 0; i < count; ++i) {
        Fiber& fiber = block.fibers[at];
        at = backwards ? (at == 0 ? count : at) - 1 : at + 1 == count ? 0 : at + 1;
        if (fiber.running && !fiber.waiting) {
            m.fiber = &fiber;
            switch_to(m.scheduler, fiber.context);
        }
    }
}

bool all_wait(const Machine& m) {
    for (const auto& each : m.blocks) {
        for (const Fiber& fiber : each->fibers) {
            if (fiber.running && each->live != 0 && !fiber.waiting) {
                return false;
            }
        }
    }
    return true;
}

}  // namespace

const Place& place() noexcept {
    return machine().fiber->place;
}

void* shared_memory(const char* file, int line, std::size_t bytes, std::size_t alignment) {
    if (alignment > 16) {
        wrong("memory of blocks is aligned to 16 bytes");
    }
    Block& block = *machine().block;
    for (Shared& each : block.shared) {
        if (each.line == line && each.bytes == bytes && std::strcmp(each.file, file) == 0) {
            return each.memory.get();
        }
    }
    block.shared.push_back({file, line, bytes, nullptr});
    Shared& added = block.shared.back();
    added.memory.reset(new std::uint64_t[(bytes + 15) / 8]);
    std::memset(added.memory.get(), 0xCD, bytes);
    return added.memory.get();
}

void give_way() noexcept {
    suspend();
}

HostDealings& host_dealings() noexcept {
    static HostDealings dealings{};
    return dealings;
}

void wait_for_block() noexcept {
    Machine& m = machine();
    Block& block = *m.block;
    if (++block.arrived == block.live) {
        block.arrived = 0;
        wake(block.fibers.data(), static_cast<unsigned>(block.fibers.size()));
        return;
    }
    m.fiber->waiting = true;
    suspend();
}

const std::uint64_t* share_in_warp(unsigned mask, std::uint64_t word) noexcept {
    if (mask != 0xFFFFFFFFU) {
        wrong("warps are always used whole");
    }
    Machine& m = machine();
    const unsigned thread = m.fiber->place.thread.x;
    Warp& warp = m.block->warps[thread / kLanes];
    std::uint64_t* const words = warp.words[warp.turn];
    words[thread % kLanes] = word;
    if (++warp.arrived == kLanes) {
        warp.arrived = 0;
        warp.turn ^= 1;
        wake(&m.block->fibers[thread / kLanes * kLanes], kLanes);
        return words;
    }
    m.fiber->waiting = true;
    suspend();
    return words;
}

void run(dim3 grid, dim3 block, Entry entry, void* work) {
    const std::lock_guard<std::mutex> lock(one_launch_at_a_time());
    if (grid.x == 0 || block.x == 0 || block.x > 1024 || block.x % kLanes != 0 || grid.y != 1 ||
        grid.z != 1 || block.y != 1 || block.z != 1) {
        wrong("a launch has one dimension, and blocks of 1 to 32 whole warps");
    }
    Machine& m = machine();
    m.entry = entry;
    m.work = work;
    m.blocks.resize(kBlocksAtOnce);
    unsigned next = 0;
    for (auto& each : m.blocks) {
        if (each == nullptr) {
            each = std::make_unique<Block>();
        }
        each->live = 0;
    }
    std::uint64_t idle = 0;
    for (bool left = true; left;) {
        left = false;
        m.progress = false;
        for (auto& each : m.blocks) {
            if (each->live == 0 && next < grid.x) {
                begin(*each, next++, grid, block);
            }
            if (each->live != 0) {
                advance(*each);
                left = true;
            }
        }
        left = left || next < grid.x;
        idle = m.progress ? 0 : idle + 1;
        if (left && idle > 0 && all_wait(m)) {
            wrong("threads wait for one that does not come");
        }
        if (idle > kLongestWait) {
            wrong("threads wait without end");
        }
    }
}

}  // namespace gradwire::emulation
