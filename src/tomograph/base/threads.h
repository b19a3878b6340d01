#pragma once
#include <cstdint>
#include <functional>

namespace tomograph {

/// More threads than any machine runs well; llama.cpp knows no more either.
inline constexpr int kMostThreads = 512;

/// Threads to use when the user asked for `requested` (0: all that this process may run on).
/// Errors: Error for more than kMostThreads.
int thread_count(int requested);

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
