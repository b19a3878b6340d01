#include "tomograph/base/process.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>
#include <string_view>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/error.h"

namespace tomograph {
namespace {

using namespace test;

std::filesystem::path shell() {
    return find_program("sh").value();
}

TEST(FindProgram, LooksThroughThePath) {
    EXPECT_TRUE(is_program(shell()));
    EXPECT_FALSE(find_program("no-program-has-this-name"));
}

TEST(FindProgram, TakesNoFolderAndNoText) {
    const TempFolder folder;
    EXPECT_FALSE(is_program(folder.path()));
    EXPECT_FALSE(is_program(folder.write("text", "x")));
}

TEST(RunProgram, KeepsBothOutputsAndTheCode) {
    const Finished finished = run_program(shell(), {"-c", "echo out; echo error >&2; exit 7"});
    EXPECT_EQ(finished.out, "out\n");
    EXPECT_EQ(finished.error_out, "error\n");
    EXPECT_EQ(finished.code, 7);
    EXPECT_FALSE(finished.ok());
}

TEST(RunProgram, PassesInputAndArgumentsAsTheyAre) {
    const std::string input(1'000'000, 'x');
    EXPECT_EQ(run_program(find_program("cat").value(), {}, input).out, input);
    EXPECT_EQ(run_program(shell(), {"-c", "printf %s \"$1\"", "sh", "a 'b' $HOME;"}).out, "a 'b' $HOME;");
}

TEST(RunProgram, TakesAProgramThatDoesNotRead) {
    EXPECT_TRUE(run_program(shell(), {"-c", "exit 0"}, std::string(1'000'000, 'x')).ok());
}

TEST(RunProgram, SaysWhichSignalEndedIt) {
    const Finished finished = run_program(shell(), {"-c", "kill -9 $$"});
    EXPECT_EQ(finished.signal, SIGKILL);
    EXPECT_FALSE(finished.ok());
}

TEST(RunProgram, NamesWhatCannotBeStarted) {
    EXPECT_EQ(error_of([] { run_program("/absent/program", {}); }),
              "cannot start program: No such file or directory");
}

TEST(RunProgram, IsHeardWhileItRuns) {
    std::string heard;
    const Finished finished = run_program("/bin/sh", {"-c", "echo one; echo two >&2"}, {},
                                          [&](std::string_view text) { heard += text; });
    EXPECT_NE(heard.find("one\n"), std::string::npos);
    EXPECT_NE(heard.find("two\n"), std::string::npos);
    EXPECT_EQ(finished.out, "one\n");
    EXPECT_EQ(finished.error_out, "two\n");
}

TEST(RunProgram, IsKilledByWhoeverHearsIt) {
    const auto began = std::chrono::steady_clock::now();
    EXPECT_THROW(
        run_program("/bin/sh", {"-c", "exec sleep 60"}, {}, [](std::string_view) { throw Stopped(""); }),
        Stopped);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
}

}  // namespace
}  // namespace tomograph
