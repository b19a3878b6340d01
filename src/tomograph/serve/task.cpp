#include "tomograph/serve/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace tomograph {
namespace {

constexpr std::size_t kRemembered = 16;

/// What a task's thread does: whatever happens, the task ends.
void work_on(Task& task, const Tasks::Work& work) {
    try {
        const Json about = work(task);
        task.finish("done", "", about);
    } catch (const Stopped&) {
        task.finish("cancelled", "", {});
    } catch (const std::bad_alloc&) {
        task.finish("failed", "not enough memory; ask for less", {});
    } catch (const std::exception& e) {
        task.finish("failed", e.what(), {});
    }
}

}  // namespace

bool Task::running() const {
    const std::lock_guard lock(mutex_);
    return state_ == "running";
}

Json Task::status() const {
    const std::lock_guard lock(mutex_);
    Json json = {{"id", id_},     {"state", state_}, {"task", task_},
                 {"done", done_}, {"total", total_}, {"unit", unit_}};
    json.update(about_);
    if (!error_.empty()) json["error"] = error_;
    return json;
}

void Task::finish(const std::string& state, const std::string& error, const Json& about) {
    const std::lock_guard lock(mutex_);
    state_ = state;
    error_ = error;
    if (about.is_object()) about_.update(about);
}

void Task::begin(const std::string& what, std::int64_t total, const std::string& unit) {
    const std::lock_guard lock(mutex_);
    task_ = what, unit_ = unit, total_ = total, done_ = 0;
}

void Task::update(std::int64_t done) {
    const std::lock_guard lock(mutex_);
    done_ = done;
}

Tasks::~Tasks() {
    {
        const std::lock_guard lock(mutex_);
        for (const auto& task : tasks_) task->cancel();
    }
    if (worker_.joinable()) worker_.join();
}

std::shared_ptr<Task> Tasks::find(int id) const {
    const std::lock_guard lock(mutex_);
    for (const auto& task : tasks_) {
        if (task->id() == id) return task;
    }
    throw Error(fmt::format("there is no job {}", id), "", "");
}

bool Tasks::busy() const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(tasks_, [](const auto& task) { return task->running(); });
}

int Tasks::start(const Json& about, const std::function<void()>& check, Work work) {
    const std::lock_guard lock(mutex_);
    if (std::ranges::any_of(tasks_, [](const auto& task) { return task->running(); })) throw Busy(busy_);
    check();
    if (worker_.joinable()) worker_.join();
    const auto task = std::make_shared<Task>(next_, about);
    try {
        worker_ = std::thread([task, work = std::move(work)] { work_on(*task, work); });
    } catch (const std::system_error& e) {
        throw Error(what_ + " cannot be started", e.what(), "close other programs and try again");
    }
    ++next_;
    tasks_.push_back(task);
    if (tasks_.size() > kRemembered) tasks_.erase(tasks_.begin());
    return task->id();
}

}  // namespace tomograph
