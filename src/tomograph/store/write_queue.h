#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace tomograph {

/// Leaves new elements as the memory holds them: buffers are filled by their users.
struct UnsetBytes : std::allocator<std::byte> {
    template <class Other>
    struct rebind {
        using other = std::conditional_t<std::is_same_v<Other, std::byte>, UnsetBytes, std::allocator<Other>>;
    };
    void construct(std::byte* at) { ::new (static_cast<void*>(at)) std::byte; }
    template <class... Arguments>
    void construct(std::byte* at, Arguments&&... arguments) {
        ::new (static_cast<void*>(at)) std::byte(std::forward<Arguments>(arguments)...);
    }
};

/// Runs writes in order on a thread of its own, so that the model goes on meanwhile. Buffers are bounded:
/// when they are all in use, the producer waits.
class WriteQueue {
  public:
    using Buffer = std::vector<std::byte, UnsetBytes>;

    explicit WriteQueue(std::size_t max_bytes);
    ~WriteQueue();

    /// A buffer of `size` bytes, content undefined.
    Buffer acquire(std::size_t size);
    /// Call `write(buffer)` on the queue's thread, then reuse the buffer.
    void submit(Buffer buffer, std::function<void(const Buffer&)> write);
    /// Wait until all is written. Errors: rethrows the first exception of a write.
    void drain();

  private:
    struct Job {
        Buffer buffer;
        std::function<void(const Buffer&)> write;
    };
    void work();
    void rethrow_locked();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    std::vector<Buffer> spare_;
    std::size_t bytes_ = 0;  // waiting or being written
    std::size_t max_bytes_;
    bool busy_ = false;
    bool stopping_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace tomograph
