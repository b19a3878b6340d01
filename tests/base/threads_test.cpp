#include "tomograph/base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace tomograph {
namespace {

class ParallelFor : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ParallelFor, testing::Values(1, 2, 7), testing::PrintToStringParamName());

TEST_P(ParallelFor, RunsEveryBlockOnce) {
    std::vector<std::atomic<int>> runs(1000);
    parallel_for(1000, GetParam(), [&](std::int64_t block) { ++runs[static_cast<std::size_t>(block)]; });
    for (const auto& count : runs) ASSERT_EQ(count, 1);
}

TEST_P(ParallelFor, RunsNothingForNoBlocks) {
    bool ran = false;
    parallel_for(0, GetParam(), [&](std::int64_t) { ran = true; });
    EXPECT_FALSE(ran);
}

TEST_P(ParallelFor, RethrowsWhatABlockThrew) {
    const auto fail = [](std::int64_t block) {
        if (block == 13) throw std::runtime_error("block 13");
    };
    EXPECT_THROW(parallel_for(100, GetParam(), fail), std::runtime_error);
}

TEST_P(ParallelFor, StartsNoBlocksAfterAFailure) {
    std::atomic<int> runs{0};
    const auto fail = [&](std::int64_t) {
        ++runs;
        throw std::runtime_error("first");
    };
    EXPECT_THROW(parallel_for(1'000'000, GetParam(), fail), std::runtime_error);
    EXPECT_LE(runs, GetParam());
}

TEST_P(ParallelFor, RethrowsTheLowestBlocksFailure) {
    const auto fail = [](std::int64_t block) {
        // The lower of two blocks that run at once fails last.
        if (block == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        throw std::runtime_error(std::to_string(block));
    };
    try {
        parallel_for(100, GetParam(), fail);
        FAIL();
    } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "0");
    }
}

TEST(ParallelForThreads, RunOneBlockOnTheCaller) {
    std::thread::id ran_on;
    parallel_for(1, 8, [&](std::int64_t) { ran_on = std::this_thread::get_id(); });
    EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(ThreadCount, IsWhatWasAskedFor) {
    EXPECT_EQ(thread_count(3), 3);
}

TEST(ThreadCount, IsAtLeastOneWhenLeftToChoose) {
    EXPECT_GE(thread_count(0), 1);
}

}  // namespace
}  // namespace tomograph
