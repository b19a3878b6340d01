#include "tomograph/store/write_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace tomograph {
namespace {

void nothing(const WriteQueue::Buffer&) {}

TEST(WriteQueue, WritesInOrder) {
    WriteQueue queue(100);
    std::vector<int> order;
    for (int i = 0; i < 50; ++i)
        queue.submit(queue.acquire(10), [&order, i](const WriteQueue::Buffer&) { order.push_back(i); });
    queue.drain();
    std::vector<int> want(50);
    std::iota(want.begin(), want.end(), 0);
    EXPECT_EQ(order, want);
}

TEST(WriteQueue, HandsTheBufferOver) {
    WriteQueue queue(100);
    WriteQueue::Buffer buffer = queue.acquire(3);
    buffer[2] = std::byte{7};
    std::byte seen{};
    queue.submit(std::move(buffer), [&](const WriteQueue::Buffer& written) { seen = written.at(2); });
    queue.drain();
    EXPECT_EQ(seen, std::byte{7});
}

TEST(WriteQueue, GivesBuffersOfTheSizeAskedFor) {
    WriteQueue queue(100);
    queue.submit(queue.acquire(90), nothing);
    queue.drain();
    EXPECT_EQ(queue.acquire(5).size(), 5u);
}

TEST(WriteQueue, DrainsWhenEmpty) {
    WriteQueue queue(100);
    queue.drain();
}

TEST(WriteQueue, TakesABufferAboveItsBound) {
    WriteQueue queue(10);
    std::atomic<int> n = 0;
    for (int i = 0; i < 3; ++i) queue.submit(queue.acquire(1000), [&](const WriteQueue::Buffer&) { ++n; });
    queue.drain();
    EXPECT_EQ(n, 3);
}

TEST(WriteQueue, LetsTheProducerWait) {
    WriteQueue queue(10);
    std::atomic<std::size_t> waiting = 0, most = 0;
    for (int i = 0; i < 20; ++i) {
        most = std::max<std::size_t>(most, ++waiting);
        queue.submit(queue.acquire(5), [&](const WriteQueue::Buffer&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            --waiting;
        });
    }
    queue.drain();
    EXPECT_LE(most, 4u);  // two in the queue, one being counted off, one that waits
}

TEST(WriteQueue, RethrowsAFailureWhenDrained) {
    WriteQueue queue(100);
    queue.submit(queue.acquire(1), [](const WriteQueue::Buffer&) { throw std::runtime_error("disk full"); });
    EXPECT_THROW(queue.drain(), std::runtime_error);
}

TEST(WriteQueue, RethrowsAFailureToTheProducer) {
    WriteQueue queue(1);
    EXPECT_THROW(
        {
            for (int i = 0; i < 1000; ++i)
                queue.submit(queue.acquire(1),
                             [](const WriteQueue::Buffer&) { throw std::runtime_error("disk full"); });
        },
        std::runtime_error);
}

TEST(WriteQueue, DropsWhatIsLeftWhenItGoes) {
    std::atomic<int> n = 0;
    {
        WriteQueue queue(1000);
        for (int i = 0; i < 100; ++i) {
            queue.submit(queue.acquire(10), [&](const WriteQueue::Buffer&) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                ++n;
            });
        }
    }
    EXPECT_LT(n, 100);
}

}  // namespace
}  // namespace tomograph
