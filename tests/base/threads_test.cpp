#include "tomograph/base/threads.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/errors.h"
#include "support/temp_folder.h"

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

/// For as long as this lives no thread can start: each would need a stack larger than the address space.
class NoThreads {
  public:
    NoThreads() {
        pthread_getattr_default_np(&before_);
        pthread_attr_t huge = before_;
        pthread_attr_setstacksize(&huge, std::size_t{1} << 50);
        pthread_setattr_default_np(&huge);
    }
    ~NoThreads() { pthread_setattr_default_np(&before_); }
    NoThreads(const NoThreads&) = delete;
    NoThreads& operator=(const NoThreads&) = delete;

  private:
    pthread_attr_t before_;
};

TEST(ThreadCount, IsWhatWasAskedForUpToAMost) {
    EXPECT_EQ(thread_count(1), 1);
    EXPECT_EQ(thread_count(kMostThreads), 512);
    EXPECT_GE(thread_count(0), 1);
    EXPECT_EQ(test::error_of([] { thread_count(100'000); }),
              "100000 threads are too many: at most 512 can be used; leave --threads away to use all "
              "processors");
}

TEST(ParallelForWithoutThreads, RunsEveryBlockNevertheless) {
    const NoThreads none;
    EXPECT_THROW(std::thread([] {}), std::system_error);
    std::vector<int> runs(100);
    parallel_for(100, 4, [&](std::int64_t block) { ++runs[static_cast<std::size_t>(block)]; });
    for (const int count : runs) ASSERT_EQ(count, 1);
}

TEST(StartableThreads, AreAsManyAsAskedForWhereThereAre) {
    EXPECT_EQ(startable_threads(1), 1);
    EXPECT_EQ(startable_threads(3), 3);
}

TEST(StartableThreads, AreOneWhereNoneCanStart) {
    const NoThreads none;
    EXPECT_EQ(startable_threads(3), 1);
}

TEST(ForkJoin, RunsEveryPartOnce) {
    for (const int threads : {1, 2, 3}) {
        std::vector<std::atomic<int>> runs(8);
        std::atomic<int> parts = 0;
        fork_join(threads, [&](int part, int n_parts) {
            ++runs[static_cast<std::size_t>(part)];
            parts = n_parts;
        });
        ASSERT_GE(parts, 1);
        ASSERT_LE(parts, threads);
        for (int part = 0; part < 8; ++part)
            EXPECT_EQ(runs[static_cast<std::size_t>(part)], part < parts ? 1 : 0) << part << " of " << parts;
    }
}

TEST(GrantedProcessors, AreThoseOfTheNarrowestGroup) {
    const test::TempFolder root;
    const auto write = [&](const char* name, const char* text) {
        std::filesystem::create_directories((root / name).parent_path());
        root.write(name, text);
    };
    EXPECT_EQ(granted_processors(root.path()), kMostThreads);  // no groups at all
    write("proc/self/cgroup", "0::/jobs/one\n");
    write("sys/fs/cgroup/jobs/one/cpu.max", "max 100000\n");
    EXPECT_EQ(granted_processors(root.path()), kMostThreads);
    write("sys/fs/cgroup/jobs/cpu.max", "250000 100000\n");
    EXPECT_EQ(granted_processors(root.path()), 3);
    write("sys/fs/cgroup/jobs/one/cpu.max", "50000 100000\n");
    EXPECT_EQ(granted_processors(root.path()), 1);
}

TEST(GrantedProcessors, AreReadOfVersionOneToo) {
    const test::TempFolder root;
    const auto write = [&](const char* name, const char* text) {
        std::filesystem::create_directories((root / name).parent_path());
        root.write(name, text);
    };
    write("proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/a\n");
    // A container sees its own group as the root.
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "400000\n");
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(granted_processors(root.path()), 4);
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    EXPECT_EQ(granted_processors(root.path()), kMostThreads);
}

}  // namespace
}  // namespace tomograph
