#include "work.h"

#include <nanobind/stl/string.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "tomograph/base/error.h"
#include "tomograph/model/model.h"

namespace tomograph::python {
namespace {

/// What the worker says and the caller reads.
class Told final : public Progress {
  public:
    void begin(const std::string& task, std::int64_t total, const std::string& unit) override {
        const std::lock_guard lock(mutex_);
        task_ = task;
        unit_ = unit;
        total_ = total;
        done_ = 0;
    }
    void update(std::int64_t done) override { done_ = done; }
    void end() override {
        const std::lock_guard lock(mutex_);
        task_.clear();
    }
    bool stop_requested() const override { return stop_; }
    void stop() { stop_ = true; }

    void pass_on(nb::handle report) const {
        std::string task, unit;
        std::int64_t total;
        {
            const std::lock_guard lock(mutex_);
            task = task_;
            unit = unit_;
            total = total_;
        }
        if (!task.empty()) report(task, done_.load(), total, unit);
    }

  private:
    mutable std::mutex mutex_;
    std::string task_, unit_;
    std::int64_t total_ = 0;
    std::atomic<std::int64_t> done_{0};
    std::atomic<bool> stop_{false};
};

/// One piece of work, shared by the two threads: a thread that is left standing keeps its own.
struct Work {
    std::function<void(Progress&)> body;
    Told told;
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    std::exception_ptr error;
    std::optional<std::string> last_words;
};

/// The work that llama.cpp is doing. Which of several it gives up cannot be told from the thread on which it
/// says so, so all of it counts as lost.
struct ModelWork {
    std::mutex mutex;
    std::set<Work*> running;
};
ModelWork& model_work() {
    static auto* const all = new ModelWork;  // outlives threads that are left standing
    return *all;
}

/// The handler may not return: llama.cpp would end the process.
void stand_still(const char* message) {
    {
        const std::lock_guard all(model_work().mutex);
        if (model_work().running.empty()) return;  // no caller waits who could be told
        for (Work* work : model_work().running) {
            const std::lock_guard lock(work->mutex);
            work->last_words = message;
            work->changed.notify_all();
        }
    }
    for (;;) pause();
}

void run(const std::shared_ptr<Work>& work) {
    std::exception_ptr error;
    try {
        work->body(work->told);
    } catch (...) {
        error = std::current_exception();
    }
    const std::lock_guard lock(work->mutex);
    work->error = std::move(error);
    work->done = true;
    work->changed.notify_all();
}

/// True once the work has ended by itself, false when it never will.
bool listen(Work& work, nb::handle report, std::exception_ptr& raised) {
    for (;;) {
        {
            nb::gil_scoped_release released;
            std::unique_lock lock(work.mutex);
            work.changed.wait_for(lock, std::chrono::milliseconds(50),
                                  [&] { return work.done || work.last_words; });
            if (work.done) return true;
            if (work.last_words) return false;
        }
        if (raised) continue;
        try {
            if (PyErr_CheckSignals() != 0) throw nb::python_error();
            if (!report.is_none()) work.told.pass_on(report);
        } catch (...) {
            raised = std::current_exception();
            work.told.stop();
        }
    }
}

void do_shared(const std::shared_ptr<Work>& work, nb::handle report, const std::function<void()>* lost) {
    std::thread worker;
    try {
        worker = std::thread(run, work);
    } catch (const std::system_error&) {
        throw Error("this cannot begin", "the system gives no further thread", "end other work first");
    }
    std::exception_ptr raised;
    if (!listen(*work, report, raised)) {
        worker.detach();
        (*lost)();
        throw Error("llama.cpp gave up", *work->last_words,
                    "this model cannot be used any more; other models can");
    }
    {
        nb::gil_scoped_release released;
        worker.join();
    }
    if (raised) std::rethrow_exception(raised);
    if (work->error) std::rethrow_exception(work->error);
}

}  // namespace

void do_work(const std::function<void(Progress&)>& body, nb::handle report) {
    const auto work = std::make_shared<Work>();
    work->body = body;
    do_shared(work, report, nullptr);
}

void do_model_work(const std::function<void(Progress&)>& body, nb::handle report,
                   const std::function<void()>& lost) {
    static std::once_flag heard;
    std::call_once(heard, [] { set_fatal_handler(stand_still); });
    const auto work = std::make_shared<Work>();
    work->body = body;
    struct Entry {
        Work* work;
        explicit Entry(Work* w) : work(w) {
            const std::lock_guard lock(model_work().mutex);
            model_work().running.insert(work);
        }
        ~Entry() {
            const std::lock_guard lock(model_work().mutex);
            model_work().running.erase(work);
        }
    } const entry(work.get());
    do_shared(work, report, &lost);
}

}  // namespace tomograph::python
