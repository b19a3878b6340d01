#include "tomograph/base/threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
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

/// What a call of parallel_for waits for. Shared, since a helper may still notify when the caller has gone
/// on.
struct Join {
    std::mutex mutex;
    std::condition_variable changed;
    int running = 0;
};

/// A thread that outlives the call it helps: starting one anew costs as much as a small call does. It sleeps
/// between calls.
class Helper {
  public:
    /// Errors: std::system_error where the system gives no more threads.
    static Helper* create() {
        auto helper = std::unique_ptr<Helper>(new Helper);
        std::thread([one = helper.get()] { one->serve(); }).detach();
        return helper.release();  // as long as the process
    }
    void give(const std::function<void()>& work, std::shared_ptr<Join> join) {
        const std::lock_guard lock(mutex_);
        work_ = &work;
        join_ = std::move(join);
        given_.notify_one();
    }

  private:
    Helper() = default;
    [[noreturn]] void serve();

    std::mutex mutex_;
    std::condition_variable given_;
    const std::function<void()>* work_ = nullptr;
    std::shared_ptr<Join> join_;
};

/// Helpers that sleep.
class Crew {
  public:
    /// Null where there is none and the system gives no more threads.
    Helper* take() {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                Helper* helper = idle_.back();
                idle_.pop_back();
                return helper;
            }
        }
        try {
            return Helper::create();
        } catch (const std::system_error&) {
            return nullptr;
        }
    }
    void give_back(Helper* helper) {
        const std::lock_guard lock(mutex_);
        idle_.push_back(helper);
    }

    /// Of this process; never destroyed, since helpers sleep on when it ends. A forked one has none of its
    /// parent's threads and begins anew.
    static Crew& instance() {
        static const bool registered [[maybe_unused]] = [] {
            current_ = new Crew;
            return ::pthread_atfork(nullptr, nullptr, [] { current_ = new Crew; }) == 0;
        }();
        return *current_;
    }

  private:
    static inline Crew* current_ = nullptr;
    std::mutex mutex_;
    std::vector<Helper*> idle_;
};

void Helper::serve() {
    std::unique_lock lock(mutex_);
    while (true) {
        given_.wait(lock, [this] { return work_ != nullptr; });
        const auto& work = *std::exchange(work_, nullptr);
        const auto join = std::exchange(join_, nullptr);
        lock.unlock();
        work();
        Crew::instance().give_back(this);  // first, so that the caller's next call finds it
        {
            const std::lock_guard done(join->mutex);
            --join->running;
        }
        join->changed.notify_one();
        lock.lock();
    }
}

/// Processors' time that a limit of version 2 ("QUOTA PERIOD" or "max PERIOD") grants, or of version 1 (two
/// files).
double granted_by(const std::filesystem::path& group) {
    double quota = -1, period = 0;
    if (std::ifstream limit(group / "cpu.max"); limit >> quota >> period) return quota / period;
    std::ifstream first(group / "cpu.cfs_quota_us"), second(group / "cpu.cfs_period_us");
    if (first >> quota && second >> period && quota > 0) return quota / period;
    return kMostThreads;
}

}  // namespace

int granted_processors(const std::filesystem::path& root) {
    double least = kMostThreads;
    std::ifstream groups(root / "proc/self/cgroup");
    // HIERARCHY:CONTROLLERS:PATH; a container may see the path of its host, and its own group as the root.
    for (std::string line; std::getline(groups, line);) {
        const auto first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool unified = controllers.empty();
        if (!unified && controllers != "cpu" && controllers != "cpu,cpuacct" && controllers != "cpuacct,cpu")
            continue;
        const std::filesystem::path mount = root / "sys/fs/cgroup" / (unified ? "" : controllers);
        std::filesystem::path group = std::filesystem::path(line.substr(second + 1)).relative_path();
        for (least = std::min(least, granted_by(mount)); !group.empty(); group = group.parent_path())
            least = std::min(least, granted_by(mount / group));
    }
    return std::clamp(static_cast<int>(std::ceil(least)), 1, kMostThreads);
}

void fork_join([[maybe_unused]] int threads, const std::function<void(int, int)>& body) {
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
    body(omp_get_thread_num(), omp_get_num_threads());
#else
    body(0, 1);
#endif
}

int thread_count(int requested) {
    if (requested > kMostThreads) {
        throw Error(std::to_string(requested) + " threads are too many",
                    "at most " + std::to_string(kMostThreads) + " can be used",
                    "leave --threads away to use all processors");
    }
    if (requested > 0) return requested;
    cpu_set_t allowed;
    const int processors = sched_getaffinity(0, sizeof allowed, &allowed) == 0
                               ? CPU_COUNT(&allowed)
                               : static_cast<int>(std::thread::hardware_concurrency());
    static const int granted = granted_processors("/");
    return std::clamp(std::min(processors, granted), 1, kMostThreads);
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
    const std::function<void()> work = [&] {
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
    const auto join = std::make_shared<Join>();
    for (int i = 1; i < n_threads; ++i) {
        Helper* helper = Crew::instance().take();
        if (helper == nullptr) break;
        {
            const std::lock_guard lock(join->mutex);
            ++join->running;
        }
        helper->give(work, join);
    }
    work();
    std::unique_lock lock(join->mutex);
    join->changed.wait(lock, [&] { return join->running == 0; });
    if (failure) std::rethrow_exception(failure);
}

}  // namespace tomograph
