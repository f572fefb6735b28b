// How many threads one call of an operation may use: 1 unless told otherwise. It changes the speed
// of operations and never their results. Shared by all instruction sets.
#pragma once

namespace gradwire {

constexpr int kMaxThreads = 64;

// False if this build knows one thread only (no OpenMP).
bool has_threads() noexcept;

int threads() noexcept;

// At least 1, at most kMaxThreads; without has_threads() it stays 1.
void set_threads(int count) noexcept;

}  // namespace gradwire
