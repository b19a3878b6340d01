#include "tomograph/base/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace tomograph {

int thread_count(int requested) {
    if (requested > 0) return requested;
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

void parallel_for(std::int64_t n_blocks, int threads, const std::function<void(std::int64_t)>& body) {
    const auto n_threads = static_cast<int>(std::min<std::int64_t>(threads, n_blocks));
    if (n_threads <= 1) {
        for (std::int64_t block = 0; block < n_blocks; ++block) body(block);
        return;
    }
    std::atomic<std::int64_t> next{0};
    std::exception_ptr failure;
    std::int64_t failed_block = n_blocks;
    std::mutex failure_mutex;
    const auto work = [&] {
        std::int64_t block = 0;
        try {
            while ((block = next.fetch_add(1)) < n_blocks) body(block);
        } catch (...) {
            const std::lock_guard lock(failure_mutex);
            if (block < failed_block) {
                failed_block = block;
                failure = std::current_exception();
            }
            next.store(n_blocks);
        }
    };
    {
        std::vector<std::jthread> workers;
        for (int i = 1; i < n_threads; ++i) workers.emplace_back(work);
        work();
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace tomograph
