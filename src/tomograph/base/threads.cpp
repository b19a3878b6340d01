#include "tomograph/base/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <latch>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

/// False where the system gives no more threads.
template <class Work>
bool start(std::vector<std::jthread>& threads, const Work& work) {
    try {
        threads.emplace_back(work);
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

}  // namespace

int thread_count(int requested) {
    if (requested > kMostThreads) {
        throw Error(std::to_string(requested) + " threads are too many",
                    "at most " + std::to_string(kMostThreads) + " can be used",
                    "leave --threads away to use all processors");
    }
    if (requested > 0) return requested;
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        return std::clamp(CPU_COUNT(&allowed), 1, kMostThreads);
    return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostThreads);
}

int startable_threads(int wanted) {
    std::vector<std::jthread> started;
    std::latch end(1);
    const auto wait = [&] { end.wait(); };
    while (static_cast<int>(started.size()) + 1 < wanted && start(started, wait)) {
    }
    end.count_down();
    return static_cast<int>(started.size()) + 1;
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
        workers.reserve(static_cast<std::size_t>(n_threads));
        for (int i = 1; i < n_threads && start(workers, work); ++i) {
        }
        work();
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace tomograph
