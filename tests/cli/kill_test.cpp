#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "support/open_run.h"
#include "support/program.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;
using Clock = std::chrono::steady_clock;

/// A capture of eight shards, a batch each.
Arguments capture_into(const std::string& run, const std::string& how, const std::string& components) {
    Arguments arguments{"capture",    "bytes-gpt2", "--out",        run,        "--sequences", "1000",
                        "--length",   "16",         "--components", components, "--threads",   "1",
                        "--shard-mb", "0.05"};
    if (!how.empty()) arguments.push_back(how);
    return arguments;
}
const std::string kAll = "embed,attn_out,mlp_out,resid_post";

std::map<std::string, std::string> files_of(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file())
            files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
    }
    return files;
}

std::string names_of(const std::map<std::string, std::string>& files) {
    std::string names;
    for (const auto& [name, bytes] : files) names += name + " ";
    return names;
}

class Killed : public testing::Test {
  protected:
    Killed() {
        const auto began = Clock::now();
        const Outcome outcome = program_.run(capture_into("straight", "", kAll));
        seconds_ = std::chrono::duration<double>(Clock::now() - began).count();
        EXPECT_EQ(outcome.code, 0) << outcome.err;
        want_ = files_of(program_ / "straight");
        EXPECT_GT(open_run(program_ / "straight").json().at("shards").size(), 6u);
    }

    /// Start a capture and end it with `signal` at a random moment of its life. False: it was done before.
    bool interrupt(const Arguments& arguments, int signal) {
        const pid_t child = program_.start(arguments);
        std::this_thread::sleep_for(std::chrono::duration<double>(
            std::uniform_real_distribution<double>(0, 1.1 * seconds_)(random_)));
        ::kill(child, signal);
        return program_.finish(child).code != 0;
    }

    void expect_same(const std::string& when) {
        const auto got = files_of(program_ / "run");
        ASSERT_EQ(names_of(got), names_of(want_)) << when;
        for (const auto& [name, bytes] : want_)
            EXPECT_TRUE(got.at(name) == bytes) << name << " differs, " << when;
    }

    Program program_;
    double seconds_ = 0;
    std::map<std::string, std::string> want_;
    std::mt19937 random_{std::random_device{}()};
};

TEST_F(Killed, IsResumedToTheSameBytes) {
    int cut_short = 0;
    for (int i = 0; i < n_kills(5); ++i) {
        cut_short += interrupt(capture_into("run", "--resume", kAll), SIGKILL);
        const bool any = fs::exists(program_ / "run/plan.json");
        const std::string when = "kill " + std::to_string(i);
        if (any && fs::exists(program_ / "run/tokens.safetensors")) {
            EXPECT_TRUE(verify_run(program_ / "run", no_progress()).faults.empty()) << when;
            EXPECT_NO_THROW(open_run(program_ / "run")) << when;
        }
        const Outcome outcome = program_.run(capture_into("run", "--resume", kAll));
        ASSERT_EQ(outcome.code, 0) << when << ": " << outcome.err;
        expect_same(when);
        fs::remove_all(program_ / "run");
    }
    EXPECT_GT(cut_short, n_kills(5) / 4) << "too few were killed in time to say anything";
    RecordProperty("kills", n_kills(5));
}

TEST_F(Killed, IsResumedAgainAndAgain) {
    while (interrupt(capture_into("run", "--resume", kAll), SIGKILL)) {
    }
    expect_same("after many kills");
}

TEST_F(Killed, IsResumedAfterTheOtherSignals) {
    for (const int signal : {SIGTERM, SIGINT}) {
        interrupt(capture_into("run", "--resume", kAll), signal);
        const Outcome outcome = program_.run(capture_into("run", "--resume", kAll));
        ASSERT_EQ(outcome.code, 0) << outcome.err;
        expect_same("signal " + std::to_string(signal));
        fs::remove_all(program_ / "run");
    }
}

TEST_F(Killed, NeverCostsTheRunThatItWasToReplace) {
    ASSERT_EQ(program_.run(capture_into("earlier", "", "embed")).code, 0);
    const auto earlier = files_of(program_ / "earlier");
    for (int i = 0; i < n_kills(5); ++i) {
        fs::copy(program_ / "earlier", program_ / "run", fs::copy_options::recursive);
        interrupt(capture_into("run", "--force", kAll), SIGKILL);
        const std::string when = "kill " + std::to_string(i);
        const auto there = files_of(program_ / "run");
        const bool untouched = there == earlier;
        if (!untouched) {
            // The new one has taken its place, with something whole in it.
            EXPECT_EQ(there.at("plan.json"), want_.at("plan.json")) << when;
            EXPECT_GT(open_run(program_ / "run").n_tokens(), 0) << when;
        }
        // What is left of the old one may be in the way, and is never deleted unasked.
        fs::remove_all(program_ / "run.partial");
        const Outcome outcome = program_.run(capture_into("run", untouched ? "--force" : "--resume", kAll));
        ASSERT_EQ(outcome.code, 0) << when << ": " << outcome.err;
        expect_same(when);
        fs::remove_all(program_ / "run");
    }
}

// One of them writes; the other is told so, or comes after it. What stands there is whole, and one's own.
TEST_F(Killed, TwoThatReplaceOneRunDoNotMix) {
    ASSERT_EQ(program_.run(capture_into("run", "", "embed")).code, 0);
    const Program other_output;  // what the second one prints
    for (int i = 0; i < n_kills(5); ++i) {
        const pid_t first = program_.start(capture_into("run", "--force", kAll));
        Arguments same = capture_into((program_ / "run").string(), "--force", kAll);
        const pid_t second = other_output.start(same);
        const Outcome of_first = program_.finish(first), of_second = other_output.finish(second);
        EXPECT_TRUE(of_first.code == 0 || of_second.code == 0) << of_first.err << of_second.err;
        for (const Outcome& outcome : {of_first, of_second}) {
            if (outcome.code == 0) continue;
            EXPECT_EQ(outcome.code, 1);
            EXPECT_NE(outcome.err.find("another tomograph is writing"), std::string::npos) << outcome.err;
        }
        EXPECT_TRUE(verify_run(program_ / "run", no_progress()).faults.empty());
        EXPECT_EQ(names_of(files_of(program_ / "run")), names_of(want_));
    }
}

TEST_F(Killed, ALongRunOfPositionsHearsSigterm) {
    const pid_t child =
        program_.start({"capture", "bytes-llama", "--prompts", "positions", "--sequences", "100000",
                        "--length", "64", "--components", "embed", "--no-vectors", "--out", "long"});
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const auto asked = Clock::now();
    ::kill(child, SIGTERM);
    EXPECT_EQ(program_.finish(child).code, 130);
    EXPECT_LT(std::chrono::duration<double>(Clock::now() - asked).count(), 20);
}

}  // namespace
}  // namespace tomograph
