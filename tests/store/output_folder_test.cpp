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
    std::string error(const fs::path& path, Begin begin, FolderKind kind = FolderKind::run) const {
        return error_of([&] { OutputFolder output(path, kind, begin); });
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
    const OutputFolder output(folder_ / "run", FolderKind::run, Begin::fresh);
    EXPECT_TRUE(fs::is_directory(folder_ / "run"));
}

TEST_F(OutputFolderTest, IsMadeWithWhatItStandsIn) {
    const OutputFolder output(folder_ / "a/b/run", FolderKind::run, Begin::fresh);
    EXPECT_TRUE(fs::is_directory(folder_ / "a/b/run"));
}

TEST_F(OutputFolderTest, MayBeEmptyAlready) {
    fs::create_directory(folder_ / "run");
    EXPECT_EQ(error(folder_ / "run", Begin::fresh), "");
}

TEST_F(OutputFolderTest, GoesAwayWhenNotKept) {
    {
        const OutputFolder output(folder_ / "run", FolderKind::run, Begin::fresh);
        folder_.write("run/run.json", "half");
    }
    EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(OutputFolderTest, StaysWhenKept) {
    {
        OutputFolder output(folder_ / "run", FolderKind::run, Begin::fresh);
        folder_.write("run/run.json", "whole");
        output.keep();
    }
    EXPECT_EQ(read_file(folder_ / "run/run.json"), "whole");
}

TEST_F(OutputFolderTest, MayBeKeptTwice) {
    OutputFolder output(folder_ / "run", FolderKind::run, Begin::fresh);
    output.keep();
    output.keep();
    EXPECT_TRUE(fs::exists(folder_ / "run"));
}

TEST_F(OutputFolderTest, IsRefusedWhereARunIs) {
    const fs::path run = earlier_run();
    EXPECT_EQ(error(run, Begin::fresh),
              run.string() + " exists; use --force to replace it, or name another --out");
}

TEST_F(OutputFolderTest, LeavesARefusedRunAlone) {
    const fs::path run = earlier_run();
    error(run, Begin::fresh);
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
}

TEST_F(OutputFolderTest, ReplacesARunByForce) {
    const fs::path run = earlier_run();
    OutputFolder output(run, FolderKind::run, Begin::replace);
    output.keep();
    EXPECT_TRUE(fs::is_empty(run));
}

TEST_F(OutputFolderTest, ReplacesAStudyByForce) {
    fs::create_directories(folder_ / "study/text");
    folder_.write("study/study.json", "{}");
    OutputFolder output(folder_ / "study", FolderKind::study, Begin::replace);
    output.keep();
    EXPECT_TRUE(fs::is_empty(folder_ / "study"));
}

TEST_F(OutputFolderTest, LeavesNothingBesideWhatReplacedIt) {
    OutputFolder output(earlier_run(), FolderKind::run, Begin::replace);
    output.keep();
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(OutputFolderTest, LeavesWhatItReplacesInPlaceUntilItIsKept) {
    const fs::path run = earlier_run();
    {
        const OutputFolder output(run, FolderKind::run, Begin::replace);
        std::ofstream(output.path() / "half") << "half";
        EXPECT_TRUE(output.replaces());
        EXPECT_EQ(read_file(run / "run.json"), "earlier");
    }
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
    EXPECT_FALSE(fs::exists(run / "half"));
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(OutputFolderTest, TakesThePlaceOfWhatItReplaces) {
    const fs::path run = earlier_run();
    OutputFolder output(run, FolderKind::run, Begin::replace);
    std::ofstream(output.path() / "run.json") << "new";
    output.keep();
    EXPECT_EQ(output.path(), run);
    EXPECT_EQ(read_file(run / "run.json"), "new");
}

TEST_F(OutputFolderTest, GivesBackThroughATrailingSlash) {
    const fs::path run = earlier_run();
    {
        const OutputFolder output(run.string() + "/", FolderKind::run, Begin::replace);
    }
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
}

TEST_F(OutputFolderTest, ThrowsAwayWhatAKilledWriterHadBegun) {
    const fs::path run = earlier_run();
    fs::create_directory(folder_ / "run.partial");
    folder_.write("run.partial/plan.json", "{}");
    {
        const OutputFolder output(run, FolderKind::run, Begin::replace);
    }
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(OutputFolderTest, NeverThrowsAwayAWholeRunThatItWasNotAskedToReplace) {
    // As a writer leaves it that was killed between taking the place and deleting what was there.
    const fs::path run = earlier_run();
    fs::create_directory(folder_ / "run.partial");
    folder_.write("run.partial/run.json", R"({"status": "complete"})");
    EXPECT_EQ(error(run, Begin::replace), "cannot replace " + run.string() + ": " + run.string() +
                                              ".partial is in the way, and it is whole; move it, or name "
                                              "another --out");
    EXPECT_TRUE(fs::exists(folder_ / "run.partial/run.json"));
}

TEST_F(OutputFolderTest, NamesWhatAnEarlierVersionPutAside) {
    fs::create_directory(folder_ / "run.replaced");
    folder_.write("run.replaced/run.json", "older");
    const std::string run = (folder_ / "run").string();
    EXPECT_EQ(error(run, Begin::fresh),
              run + " was being replaced when its writer was killed: what it was is in " + run +
                  ".replaced; bring it back with: mv " + run + ".replaced " + run +
                  "; or name another --out");
    EXPECT_EQ(read_file(folder_ / "run.replaced/run.json"), "older");
}

TEST_F(OutputFolderTest, BringsBackWhatAnEarlierVersionPutAsideBeforeItReplacesIt) {
    fs::create_directory(folder_ / "run.replaced");
    folder_.write("run.replaced/run.json", "older");
    {
        const OutputFolder output(folder_ / "run", FolderKind::run, Begin::replace);
    }
    EXPECT_EQ(read_file(folder_ / "run/run.json"), "older");
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(OutputFolderTest, ReplacesLikeByLikeOnly) {
    const fs::path run = earlier_run();
    EXPECT_EQ(error(run, Begin::replace, FolderKind::study),
              run.string() + " is a run: --force replaces it by another run only; name another --out");
    fs::create_directory(folder_ / "study");
    folder_.write("study/study.json", "{}");
    EXPECT_EQ(error(folder_ / "study", Begin::replace),
              (folder_ / "study").string() +
                  " is a study: --force replaces it by another study only; name another --out");
    EXPECT_TRUE(fs::exists(folder_ / "study/study.json"));
}

TEST_F(OutputFolderTest, IsHeldAgainstOtherWriters) {
    OutputFolder output(folder_ / "run", FolderKind::run, Begin::fresh);
    const std::string busy = "another tomograph is writing " + (folder_ / "run").string() +
                             "; wait for it to end, or name another --out";
    EXPECT_EQ(error(folder_ / "run", Begin::fresh), busy);
    folder_.write("run/run.json", "{}");
    output.keep();
    EXPECT_EQ(error(folder_ / "run", Begin::replace), busy);
    EXPECT_EQ(error(folder_ / "run", Begin::resume), busy);
}

TEST_F(OutputFolderTest, IsHeldWhileItGrowsBesideWhatItReplaces) {
    const fs::path run = earlier_run();
    OutputFolder output(run, FolderKind::run, Begin::replace);
    const std::string busy =
        "another tomograph is writing " + run.string() + "; wait for it to end, or name another --out";
    EXPECT_EQ(error(run, Begin::replace), busy);
    output.keep();
    EXPECT_EQ(error(run, Begin::replace), busy);
}

TEST_F(OutputFolderTest, IsFreeAgainAfterwards) {
    {
        OutputFolder(folder_ / "run", FolderKind::run, Begin::fresh).keep();
    }
    EXPECT_EQ(error(folder_ / "run", Begin::resume), "");
}

TEST_F(OutputFolderTest, GoesOnWhereItIsResumed) {
    const fs::path run = earlier_run();
    folder_.write("run/tokens.jsonl.1-0.tmp", "half");
    {
        OutputFolder output(run, FolderKind::run, Begin::resume);
    }
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
    EXPECT_FALSE(fs::exists(run / "tokens.jsonl.1-0.tmp"));
}

TEST_F(OutputFolderTest, FollowsALink) {
    const fs::path run = earlier_run();
    fs::create_directory_symlink(run, folder_ / "link");
    OutputFolder output(folder_ / "link", FolderKind::run, Begin::replace);
    std::ofstream(output.path() / "run.json") << "new";
    output.keep();
    EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
    EXPECT_EQ(read_file(run / "run.json"), "new");
}

TEST_F(OutputFolderTest, DoesNotDeleteWhatIsNoRun) {
    folder_.write("thesis.tex", "years of work");
    for (const Begin begin : {Begin::fresh, Begin::replace, Begin::resume}) {
        EXPECT_EQ(error(folder_.path(), begin), folder_.path().string() +
                                                    " exists and is not a run: it will not be deleted, with "
                                                    "--force neither; name another --out");
    }
    EXPECT_EQ(read_file(folder_ / "thesis.tex"), "years of work");
}

TEST_F(OutputFolderTest, DoesNotDeleteAFile) {
    const fs::path file = folder_.write("thesis.tex", "years of work");
    EXPECT_NE(error(file, Begin::replace), "");
    EXPECT_EQ(read_file(file), "years of work");
}

TEST_F(OutputFolderTest, DoesNotDeleteAForeignFolderThatIsInTheWay) {
    const fs::path run = earlier_run();
    fs::create_directory(folder_ / "run.partial");
    folder_.write("run.partial/thesis.tex", "years of work");
    EXPECT_EQ(error(run, Begin::replace),
              "cannot replace " + run.string() + ": " + run.string() +
                  ".partial is in the way, and it is not a run; move it, or name another --out");
    EXPECT_EQ(read_file(folder_ / "run.partial/thesis.tex"), "years of work");
    EXPECT_EQ(read_file(run / "run.json"), "earlier");
}

TEST_F(OutputFolderTest, CannotStandInAFile) {
    folder_.write("file", "");
    EXPECT_EQ(error(folder_ / "file/run", Begin::fresh),
              "cannot create " + (folder_ / "file/run").string() + ": Not a directory");
}

}  // namespace
}  // namespace tomograph
