#include "tomograph/store/write_queue.h"

#include <utility>

namespace tomograph {

WriteQueue::WriteQueue(std::size_t max_bytes) : max_bytes_(max_bytes), thread_([this] { work(); }) {}

WriteQueue::~WriteQueue() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        jobs_.clear();
    }
    changed_.notify_all();
    thread_.join();
}

WriteQueue::Buffer WriteQueue::acquire(std::size_t size) {
    Buffer buffer;
    {
        const std::lock_guard lock(mutex_);
        if (!spare_.empty()) {
            buffer = std::move(spare_.back());
            spare_.pop_back();
        }
    }
    buffer.resize(size);
    return buffer;
}

void WriteQueue::submit(Buffer buffer, std::function<void(const Buffer&)> write) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return bytes_ == 0 || bytes_ + buffer.size() <= max_bytes_ || failure_; });
    rethrow_locked();
    bytes_ += buffer.size();
    jobs_.push_back({std::move(buffer), std::move(write)});
    lock.unlock();
    changed_.notify_all();
}

void WriteQueue::drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return (jobs_.empty() && !busy_) || failure_; });
    rethrow_locked();
}

void WriteQueue::rethrow_locked() {
    if (failure_) std::rethrow_exception(failure_);
}

void WriteQueue::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
        if (stopping_) return;
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        busy_ = true;
        lock.unlock();
        std::exception_ptr failure;
        try {
            job.write(job.buffer);
        } catch (...) {
            failure = std::current_exception();
        }
        lock.lock();
        busy_ = false;
        bytes_ -= job.buffer.size();
        spare_.push_back(std::move(job.buffer));
        if (failure && !failure_) failure_ = failure;
        changed_.notify_all();
    }
}

}  // namespace tomograph
