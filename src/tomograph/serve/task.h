#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/json.h"
#include "tomograph/base/progress.h"

namespace tomograph {

/// Another one is under way.
class Busy : public Error {
    using Error::Error;
};

/// Work that a page has asked for: how far it is, and a way to stop it.
class Task final : public Progress {
  public:
    /// `about`: what its status says of it besides, from the first moment on.
    Task(int id, Json about) : id_(id), about_(std::move(about)) {}

    int id() const { return id_; }
    bool running() const;
    /// {"id", "state": running|done|failed|cancelled, "task", "done", "total", "unit", "error"} and what it
    /// is about.
    Json status() const;
    void cancel() { stop_ = true; }
    /// Ends it. What is said here of what it is about replaces what was said before.
    void finish(const std::string& state, const std::string& error, const Json& about);

    void begin(const std::string& what, std::int64_t total, const std::string& unit) override;
    void update(std::int64_t done) override;
    bool stop_requested() const override { return stop_; }

  private:
    const int id_;
    std::atomic<bool> stop_{false};
    mutable std::mutex mutex_;
    Json about_;
    std::string state_ = "running", task_ = "beginning", unit_, error_;
    std::int64_t done_ = 0, total_ = 0;
};

/// Tasks of one kind: one at a time, each on a thread of its own, watched and stopped by its number. The last
/// few are remembered. Safe from several threads.
class Tasks {
  public:
    /// What a task does; gives what its status says besides once it is done. What it throws fails it, Stopped
    /// cancels it.
    using Work = std::function<Json(Task&)>;

    /// `what`: for messages, such as "the projection". `busy`: what whoever asks for a second one is told.
    Tasks(std::string what, Busy busy) : what_(std::move(what)), busy_(std::move(busy)) {}
    ~Tasks();

    /// Calls `check` once it is certain that no other is under way. Errors: Busy; what `check` throws; Error
    /// when the machine has no thread left.
    int start(const Json& about, const std::function<void()>& check, Work work);
    /// Errors: Error when there is no such task.
    Json status(int id) const { return find(id)->status(); }
    void cancel(int id) { find(id)->cancel(); }
    bool busy() const;

  private:
    std::shared_ptr<Task> find(int id) const;
    std::string what_;
    Busy busy_;
    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<Task>> tasks_;  // the last few
    int next_ = 1;
    std::thread worker_;
};

}  // namespace tomograph
