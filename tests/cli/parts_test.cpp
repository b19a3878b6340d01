#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/open_run.h"
#include "support/program.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

std::vector<std::string> rank_of(int rank, int size) {
    return {"OMPI_COMM_WORLD_RANK=" + std::to_string(rank), "OMPI_COMM_WORLD_SIZE=" + std::to_string(size)};
}

/// A capture that several processes share.
class Shared : public testing::Test {
  protected:
    static Arguments capture_into(const std::string& run, const Arguments& more = {}) {
        Arguments arguments{"capture",     "bytes-gpt2", "--out",        run,
                            "--sequences", "1000",       "--length",     "16",
                            "--threads",   "1",          "--components", "embed,attn_out",
                            "--shard-mb",  "0.05",       "--keep",       "norms,means,moments,scores:8"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
    /// What every file holds, but for the plan's checksum, by name.
    std::map<std::string, std::string> files_of(const std::string& run) const {
        std::map<std::string, std::string> files;
        for (const auto& entry : fs::recursive_directory_iterator(program_ / run)) {
            if (entry.is_regular_file())
                files[fs::relative(entry.path(), program_ / run).string()] = read_file(entry.path());
        }
        return files;
    }
    std::string refused(const Arguments& arguments, int code,
                        const std::vector<std::string>& environment = {}) {
        const Outcome outcome = program_.run(arguments, environment);
        EXPECT_EQ(outcome.code, code) << outcome.err;
        return outcome.err;
    }

    Program program_;
};

TEST_F(Shared, ByAJobArrayIsMerged) {
    for (int task = 3; task <= 4; ++task) {
        const Outcome outcome =
            program_.run(capture_into("part-" + std::to_string(task), {"--part", "slurm"}),
                         {"SLURM_ARRAY_TASK_ID=" + std::to_string(task), "SLURM_ARRAY_TASK_COUNT=2",
                          "SLURM_ARRAY_TASK_MIN=3"});
        ASSERT_EQ(outcome.code, 0) << outcome.err;
        EXPECT_NE(outcome.err.find("part " + std::to_string(task - 2) + "/2, from SLURM_ARRAY_TASK_ID"),
                  std::string::npos)
            << outcome.err;
    }
    const Outcome merged = program_.run({"merge", "part-4", "part-3", "--out", "merged"});
    ASSERT_EQ(merged.code, 0) << merged.err;
    EXPECT_EQ(open_run(program_ / "merged").n_sequences(), 1000);
    EXPECT_TRUE(verify_run(program_ / "merged", no_progress()).faults.empty());
}

TEST_F(Shared, IsSaidOfAJobArrayThatIsNotAskedFor) {
    const Outcome outcome =
        program_.run(capture_into("run"), {"SLURM_ARRAY_TASK_ID=2", "SLURM_ARRAY_TASK_COUNT=8"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_NE(outcome.err.find("this is task 2 of a job array of 8"), std::string::npos) << outcome.err;
}

TEST_F(Shared, PartsThatThereAreNotAreRefused) {
    EXPECT_EQ(refused(capture_into("run", {"--part", "9/8"}), 2),
              "tomograph: there is no part 9/8: parts are counted from 1 to their number, at most 65536 (see "
              "tomograph capture --help)\n");
    EXPECT_NE(refused(capture_into("run", {"--part", "two"}), 2).find("is no part"), std::string::npos);
    EXPECT_NE(refused(capture_into("run", {"--part", "slurm"}), 2).find("outside a job array"),
              std::string::npos);
    EXPECT_FALSE(fs::exists(program_ / "run"));
}

TEST_F(Shared, ByMpirunBecomesOneRun) {
    ASSERT_EQ(program_.run(capture_into("merged", {"--part", "1/1"})).code, 0);
    const Program other;
    const pid_t first = program_.start(capture_into("run"), rank_of(0, 2));
    const pid_t second = other.start(capture_into((program_ / "run").string()), rank_of(1, 2));
    const Outcome of_first = program_.finish(first), of_second = other.finish(second);
    ASSERT_EQ(of_first.code, 0) << of_first.err;
    ASSERT_EQ(of_second.code, 0) << of_second.err;
    const auto run = open_run(program_ / "run"), want = open_run(program_ / "merged");
    EXPECT_TRUE(run.complete());
    EXPECT_FALSE(fs::exists(program_ / "run.parts"));
    for (const SiteShape& site : want.sites()) {
        EXPECT_EQ(run.norms(site.site), want.norms(site.site));
        const SiteMoments a = run.moments(site.site), b = want.moments(site.site);
        EXPECT_LE((a.comoment - b.comoment).norm(), 1e-9 * b.comoment.norm()) << site.site.name();
        Matrix rows(run.n_rows(), site.width()), of(run.n_rows(), site.width());
        run.read_rows(site.site, 0, run.n_rows(), rows.data());
        want.read_rows(site.site, 0, run.n_rows(), of.data());
        EXPECT_EQ(rows, of) << site.site.name();
    }
}

TEST_F(Shared, LosesNothingWhenARankIsKilled) {
    std::mt19937 random{std::random_device{}()};
    const Program other;
    const auto ranks = [&](const std::string& run, bool kill) {
        const Arguments more{"--resume"};
        const pid_t first = program_.start(capture_into(run, more), rank_of(0, 2));
        const pid_t second = other.start(capture_into((program_ / run).string(), more), rank_of(1, 2));
        if (kill) {
            std::this_thread::sleep_for(
                std::chrono::milliseconds(std::uniform_int_distribution<int>(0, 1500)(random)));
            ::kill(random() % 2 == 0 ? first : second, SIGKILL);
        }
        const int code = program_.finish(first).code, second_code = other.finish(second).code;
        return code != 0 ? code : second_code;
    };
    ASSERT_EQ(ranks("straight", false), 0);
    const auto want = files_of("straight");
    int killed = 0;
    for (int i = 0; i < n_kills(3); ++i) {
        killed += ranks("run", true) != 0;
        ASSERT_EQ(ranks("run", false), 0) << "kill " << i;
        EXPECT_EQ(files_of("run"), want) << "kill " << i;
        fs::remove_all(program_ / "run");
        EXPECT_FALSE(fs::exists(program_ / "run.parts")) << "kill " << i;
    }
    RecordProperty("killed", killed);
}

TEST_F(Shared, OnAFullDiskIsResumedOnceThereIsRoom) {
    const fs::path disk = program_ / "disk";
    fs::create_directories(disk);
    if (::geteuid() != 0 || ::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=600k") != 0)
        GTEST_SKIP() << "no file system can be mounted here";
    struct Unmount {
        const fs::path& disk;
        ~Unmount() { ::umount2(disk.c_str(), MNT_DETACH); }
    } unmount{disk};
    const std::string run = (disk / "run").string();
    const Arguments arguments = capture_into(run, {"--resume", "-q"});
    const std::string error = refused(arguments, 1);
    EXPECT_NE(error.find("No space left on device"), std::string::npos) << error;
    EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
    if (fs::exists(disk / "run/plan.json")) {
        EXPECT_TRUE(verify_run(disk / "run", no_progress()).faults.empty());
    }
    ASSERT_EQ(::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=20m"), 0);
    ASSERT_EQ(program_.run(arguments).code, 0);
    ASSERT_EQ(program_.run(capture_into("straight", {"--resume", "-q"})).code, 0);
    EXPECT_TRUE(verify_run(disk / "run", no_progress()).faults.empty());
    EXPECT_EQ(read_file(disk / "run/run.json"), read_file(program_ / "straight/run.json"));
}

TEST_F(Shared, WhatIsKeptIsSaidAndRefused) {
    const auto keep = [](const std::string& run, const std::string& list) {
        return Arguments{"capture", "bytes-gpt2", "--out", run,      "--sequences",
                         "4",       "--length",   "16",    "--keep", list};
    };
    const Outcome outcome = program_.run(keep("run", "norms,scores:4"));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out.find("plan: norms, scores:4; 64 tokens of "), 0u) << outcome.out;
    EXPECT_NE(refused(keep("bad", "norms,spectra"), 2).find("'spectra' is none of"), std::string::npos);
    EXPECT_NE(refused(keep("bad", "vectors,scores:4"), 2).find("keep one of the two"), std::string::npos);
    EXPECT_NE(refused(keep("bad", "vectors:2"), 2).find("is no fraction"), std::string::npos);
    EXPECT_NE(refused(keep("bad", "scores:x"), 2).find("says no number of scores"), std::string::npos);
    Arguments small{"capture", "bytes-gpt2", "--out", "bad", "--sequences", "4", "--length", "16"};
    small.insert(small.end(), {"--budget", "1KB"});
    EXPECT_NE(refused(small, 1).find("nothing fits the budget"), std::string::npos);
    small.back() = "some";
    EXPECT_NE(refused(small, 2).find("is no size"), std::string::npos);
    EXPECT_FALSE(fs::exists(program_ / "bad"));
}

TEST_F(Shared, ScoresAreMeasuredWhereTheyCanBe) {
    ASSERT_EQ(program_
                  .run({"capture", "bytes-gpt2", "--out", "run", "--sequences", "16", "--length", "64",
                        "--keep", "scores:16,moments"})
                  .code,
              0);
    const Outcome measured = program_.run({"measure", "run", "--rows", "64", "--bootstrap", "20"});
    ASSERT_EQ(measured.code, 0) << measured.err;
    const std::string findings = read_file(program_ / "run/measures/findings.json");
    EXPECT_NE(findings.find("the run keeps scores on a few axes; capture with --keep vectors"),
              std::string::npos);
    const Outcome projected = program_.run({"project", "run", "--name", "p", "--components", "attn_out"});
    ASSERT_EQ(projected.code, 0) << projected.err;
    EXPECT_NE(projected.err.find("the run keeps scores on 16 axes, not vectors: "), std::string::npos)
        << projected.err;
}

}  // namespace
}  // namespace tomograph
