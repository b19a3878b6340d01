#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>

namespace tomograph {

/// More threads than any machine runs well; llama.cpp knows no more either.
inline constexpr int kMostThreads = 512;

/// Threads to use when the user asked for `requested` (0: all that this process may run on, by the processors
/// that it is bound to and by what its control groups grant it).
/// Errors: Error for more than kMostThreads.
int thread_count(int requested);

/// How many processors' time the control groups of /proc/self grant, rounded up; kMostThreads where they set
/// no limit. `root`: in place of / (for tests).
int granted_processors(const std::filesystem::path& root);

/// Call `body(part, n_parts)` once for each part, side by side on OpenMP's threads: those that llama.cpp
/// computes with, which between its operations wait for whoever calls this. n_parts is at most `threads`; 1
/// in a build without OpenMP. `body` must not throw.
void fork_join(int threads, const std::function<void(int part, int n_parts)>& body);

/// At most `wanted`: as many threads as the system lets this process start now, the calling one included.
/// For those who cannot go on with fewer once they have begun.
int startable_threads(int wanted);

/// Call `body(block)` for every block in [0, n_blocks), on `threads` threads, or on fewer where the system
/// gives no more. Which thread runs a block is
/// not fixed, so a deterministic caller writes each block's result to its own place and reduces them in
/// order. Of the exceptions that bodies throw, the lowest block's is rethrown here after all threads have
/// stopped: blocks start in order, so that is the one a single thread would have met.
void parallel_for(std::int64_t n_blocks, int threads, const std::function<void(std::int64_t block)>& body);

}  // namespace tomograph
