#include "tomograph/store/output_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

class OutputFolderTest : public testing::Test {
  protected:
    std::string error(const fs::path& path, bool force) const {
        return error_of([&] { OutputFolder output(path, force); });
    }
    /// An earlier run that holds `text`.
    fs::path earlier_run(const std::string& text = "earlier") const {
        fs::create_directory(folder_ / "run");
        folder_.write("run/run.json", text);
        return folder_ / "run";
    }
    TempFolder folder_;
};

TEST_F(OutputFolderTest, IsMade) {
    const OutputFolder output(folder_ / "run", false);
    EXPECT_TRUE(fs::is_directory(folder_ / "run"));
}

TEST_F(OutputFolderTest, IsMadeWithWhatItStandsIn) {
    const OutputFolder output(folder_ / "a/b/run", false);
    EXPECT_TRUE(fs::is_directory(folder_ / "a/b/run"));
}

TEST_F(OutputFolderTest, MayBeEmptyAlready) {
    fs::create_directory(folder_ / "run");
    EXPECT_EQ(error(folder_ / "run", false), "");
}

TEST_F(OutputFolderTest, GoesAwayWhenNotKept) {
    {
        const OutputFolder output(folder_ / "run", false);
        folder_.write("run/run.json", "half");
    }
    EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(OutputFolderTest, StaysWhenKept) {
    {
        OutputFolder output(folder_ / "run", false);
        folder_.write("run/run.json", "whole");
        output.keep();
    }
    EXPECT_EQ(read_file(folder_ / "run/run.json"), "whole");
}

TEST_F(OutputFolderTest, MayBeKeptTwice) {
    OutputFolder output(folder_ / "run", false);
    output.keep();
    output.keep();
    EXPECT_TRUE(fs::exists(folder_ / "run"));
}

TEST_F(OutputFolderTest, IsRefusedWhereARunIs) {
    const fs::path run = earlier_run();
    EXPECT_EQ(error(run, false), run.string() + " exists; use --force to replace it, or name another --out");
}

TEST_F(OutputFolderTest, LeavesARefusedRunAlone) {
    const fs::path run = earlier_run();
    error(run, false);
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
}

TEST_F(OutputFolderTest, ReplacesARunByForce) {
    const fs::path run = earlier_run();
    OutputFolder output(run, true);
    output.keep();
    EXPECT_TRUE(fs::is_empty(run));
}

TEST_F(OutputFolderTest, ReplacesAStudyByForce) {
    fs::create_directories(folder_ / "study/text");
    folder_.write("study/study.json", "{}");
    OutputFolder output(folder_ / "study", true);
    output.keep();
    EXPECT_TRUE(fs::is_empty(folder_ / "study"));
}

TEST_F(OutputFolderTest, LeavesNothingBesideWhatReplacedIt) {
    OutputFolder output(earlier_run(), true);
    output.keep();
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(OutputFolderTest, GivesBackWhatItWouldHaveReplaced) {
    const fs::path run = earlier_run();
    {
        const OutputFolder output(run, true);
        folder_.write("run/half", "");
    }
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
    EXPECT_FALSE(fs::exists(run / "half"));
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(OutputFolderTest, GivesBackThroughATrailingSlash) {
    const fs::path run = earlier_run();
    { const OutputFolder output(run.string() + "/", true); }
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
}

TEST_F(OutputFolderTest, ThrowsAwayWhatAKilledRunHadPutAside) {
    const fs::path run = earlier_run();
    fs::create_directory(folder_ / "run.replaced");
    folder_.write("run.replaced/run.json", "older");
    { const OutputFolder output(run, true); }
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(OutputFolderTest, DoesNotDeleteWhatIsNoRun) {
    folder_.write("thesis.tex", "years of work");
    for (const bool force : {false, true}) {
        EXPECT_EQ(error(folder_.path(), force), folder_.path().string() +
                                                    " exists and is not a run: it will not be deleted, with "
                                                    "--force neither; name another --out");
    }
    EXPECT_EQ(read_file(folder_ / "thesis.tex"), "years of work");
}

TEST_F(OutputFolderTest, DoesNotDeleteAFile) {
    const fs::path file = folder_.write("thesis.tex", "years of work");
    EXPECT_NE(error(file, true), "");
    EXPECT_EQ(read_file(file), "years of work");
}

TEST_F(OutputFolderTest, DoesNotDeleteAForeignFolderThatIsInTheWay) {
    const fs::path run = earlier_run();
    fs::create_directory(folder_ / "run.replaced");
    folder_.write("run.replaced/thesis.tex", "years of work");
    EXPECT_EQ(error(run, true),
              "cannot replace " + run.string() + ": " + run.string() +
                  ".replaced is in the way, and it is not a run; move it, or name another --out");
    EXPECT_EQ(read_file(folder_ / "run.replaced/thesis.tex"), "years of work");
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
}

TEST_F(OutputFolderTest, CannotStandInAFile) {
    folder_.write("file", "");
    EXPECT_EQ(error(folder_ / "file/run", false),
              "cannot create " + (folder_ / "file/run").string() + ": Not a directory");
}

}  // namespace
}  // namespace tomograph
