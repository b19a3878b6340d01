// What commands write, where there is something already, and where it is no file.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "support/npy.h"
#include "support/program.h"
#include "support/run_folder.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

class CliOutput : public testing::Test {
  protected:
    void SetUp() override {
        RunSketch sketch;
        sketch.labels = {"\x1b[31mred\u009b0m"};
        sketch.edit = [](Json& run) { run["model"]["name"] = "\x1b]0;title\x07model"; };
        sketch.write(program_ / "run");
    }
    Outcome exported(const std::string& out, const Arguments& more = {}) {
        Arguments arguments{"export", "run", "embed", "--format", "csv", "--out", out};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return program_.run(arguments);
    }
    /// Through a shell, which gives the program's streams another target: `tomograph ARGUMENTS`.
    int shell(const std::string& command) {
        const std::string line = "cd '" + program_.folder().path().string() + "' && tomograph() { '" +
                                 TOMOGRAPH_BINARY "' \"$@\"; } && " + command;
        const int status = std::system(line.c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::string file(std::string_view name) { return read_file(program_ / name); }
    Program program_;
};

TEST_F(CliOutput, NeverReplacesAFileUnasked) {
    program_.folder().write("notes.txt", "mine");
    for (const Arguments& arguments :
         std::vector<Arguments>{{"export", "run", "embed", "--format", "csv", "--out", "notes.txt"},
                                {"export", "run", "embed", "--format", "npy", "--out", "notes.txt"},
                                {"quantize", "bytes-gpt2", "--type", "f16", "--out", "notes.txt"},
                                {"randomize", "bytes-gpt2", "--out", "notes.txt"},
#ifdef TOMOGRAPH_VIEWER
                                {"view", "run", "--report", "notes.txt"},
#endif
                                {"compare", "run", "run", "--out", "notes.txt"}}) {
        const Outcome outcome = program_.run(arguments);
        EXPECT_EQ(outcome.code, 1) << arguments[0];
        EXPECT_EQ(outcome.err,
                  "tomograph: error: notes.txt exists; name another file, or add --force to replace it\n");
        EXPECT_EQ(file("notes.txt"), "mine");
    }
}

TEST_F(CliOutput, ReplacesAFileWithForce) {
    program_.folder().write("x.csv", "old");
    EXPECT_EQ(exported("x.csv", {"--force"}).code, 0);
    EXPECT_TRUE(file("x.csv").starts_with("component,"));
    EXPECT_EQ(program_.run({"randomize", "bytes-gpt2", "--out", "x.csv", "--force"}).code, 0);
    EXPECT_TRUE(file("x.csv").starts_with("GGUF"));
}

TEST_F(CliOutput, ReplacesNoFolderByAFile) {
    EXPECT_EQ(exported("run", {"--force"}).err,
              "tomograph: error: cannot write run: it is a folder; name a file in it\n");
    EXPECT_TRUE(fs::exists(program_ / "run" / "run.json"));
}

TEST_F(CliOutput, AddsAProjectorToAFolderAndReplacesItOnlyWithForce) {
    fs::create_directory(program_ / "tb");
    program_.folder().write("tb/notes.txt", "mine");
    const Arguments arguments{"export", "run", "embed", "--format", "projector", "--out", "tb"};
    EXPECT_EQ(program_.run(arguments).code, 0);
    EXPECT_EQ(program_.run(arguments).err,
              "tomograph: error: tb/tensors.tsv exists; name another file, or add --force to replace it\n");
    Arguments with_force = arguments;
    with_force.emplace_back("--force");
    EXPECT_EQ(program_.run(with_force).code, 0);
    EXPECT_EQ(file("tb/notes.txt"), "mine");
}

TEST_F(CliOutput, IsStandardOutputForAMinus) {
    ASSERT_EQ(exported("x.csv").out, "x.csv\n");
    const Outcome outcome = exported("-");
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.out, file("x.csv"));
    EXPECT_FALSE(fs::exists(program_ / "-"));
}

TEST_F(CliOutput, IsStandardOutputByItsDevice) {
    ASSERT_EQ(exported("x.csv").code, 0);
    EXPECT_EQ(exported("/dev/stdout").out, file("x.csv"));
    ASSERT_EQ(
        shell(
            "{ echo before; tomograph export run embed --format csv --out /dev/stdout; echo after; } > all"),
        0);
    EXPECT_EQ(file("all"), "before\n" + file("x.csv") + "after\n");
    EXPECT_TRUE(fs::is_symlink("/dev/stdout"));
}

TEST_F(CliOutput, GoesThroughAPipe) {
    ASSERT_EQ(exported("x.csv").code, 0);
    ASSERT_EQ(shell("mkfifo pipe && { cat pipe > copy & } && tomograph export run embed --format csv --out "
                    "pipe && wait"),
              0);
    EXPECT_EQ(file("copy"), file("x.csv"));
    EXPECT_TRUE(fs::is_fifo(program_ / "pipe"));
}

TEST_F(CliOutput, IsNoPipeWhereAFileIsNeeded) {
    EXPECT_EQ(
        program_.run({"randomize", "bytes-gpt2", "--out", "-"}).err,
        "tomograph: error: cannot write -: it is no file, and this is not written from front to back; name a "
        "file\n");
    EXPECT_EQ(program_.run({"export", "run", "embed", "--format", "projector", "--out", "-"}).err,
              "tomograph: error: a projector export is two files; name a folder\n");
}

TEST_F(CliOutput, FailsWhereStandardOutputIsFull) {
    for (const char* command :
         {"--version", "--help", "info run", "info run --json", "compare run run",
          "export run embed --format csv --out -", "export run embed --format npy --out x.npy"}) {
        EXPECT_EQ(shell(std::string("tomograph ") + command + " > /dev/full 2> err"), 1) << command;
        const std::string err = file("err");
        EXPECT_NE(err.find("cannot write standard output: No space left on device"), std::string::npos)
            << err;
        EXPECT_EQ(std::ranges::count(err, '\n'), 1) << err;
    }
}

TEST_F(CliOutput, FailsWhereStandardOutputIsClosed) {
    EXPECT_EQ(shell("tomograph export run embed --format csv --out x.csv >&- 2> err"), 1);
    EXPECT_TRUE(file("x.csv").starts_with("component,"));  // and nothing else was written into it
    EXPECT_EQ(file("x.csv").find("x.csv"), std::string::npos);
}

TEST_F(CliOutput, GoesOnWhereStandardErrorIsFull) {
    EXPECT_EQ(shell("tomograph export run embed --format csv --out x.csv > out 2> /dev/full"), 0);
    EXPECT_EQ(shell("tomograph info absent > out 2> /dev/full"), 1);
}

TEST_F(CliOutput, SteersNoTerminal) {
    for (const Arguments& arguments :
         std::vector<Arguments>{{"info", "run"},
                                {"info", "run", "--json"},
                                {"compare", "run", "run"},
                                {"project", "run", "--name", "p", "--labels", "\x1b[1m"}}) {
        const Outcome outcome = program_.run(arguments);
        for (const std::string& text : {outcome.out, outcome.err}) {
            EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
            EXPECT_EQ(text.find('\x07'), std::string::npos);
            EXPECT_EQ(text.find("\u009b"), std::string::npos);
        }
    }
    EXPECT_NE(program_.run({"info", "run"}).out.find("\\x1b]0;title\\x07model"), std::string::npos);
    const Json json = Json::parse(program_.run({"info", "run", "--json"}).out);
    EXPECT_EQ(json.at("labels").at(0), "\x1b[31mred\u009b0m");
}

// An imported run leads a life like any other
// -------------------------------------------------------------------------------------------------------------

TEST_F(CliOutput, OfAnImportServesEveryCommand) {
    std::vector<float> values;
    for (std::size_t i = 0; i < 4 * 24 * 8; ++i)
        values.push_back(static_cast<float>(4 * to_unit(mix(7, i, 0)) - 1 + static_cast<double>(i / 8 % 3)));
    program_.folder().write("a.npy", npy_of("<f4", "(4, 24, 8)", values));
    std::ranges::reverse(values);
    program_.folder().write("b.npy", npy_of("<f4", "(96, 8)", values));
    const Outcome imported = program_.run({"import", "--out", "own", "--site", "blocks.0.resid_post=a.npy",
                                           "--site", "blocks.1.resid_post=b.npy"});
    EXPECT_EQ(imported.out, "own: 96 rows in 4 sequences, 2 sites\n") << imported.err;
    for (const Arguments& arguments : std::vector<Arguments>{
             {"info", "own"},
             {"project", "own", "--name", "p", "--dims", "2", "--layers", "1:2"},
             {"project", "own", "--name", "m", "--method", "umap", "--n-neighbors", "5", "--positions", "1:"},
             {"project", "own", "--name", "means", "--dims", "2", "--mean", "samples"},
             {"measure", "own", "--bootstrap", "20"},
             {"compare", "own", "own"},
             {"export", "own", "p", "--format", "csv", "--out", "p.csv"},
             {"export", "own", "blocks.1.resid_post", "--format", "npy", "--out", "y.npy"},
#ifdef TOMOGRAPH_VIEWER
             {"view", "own", "--report", "own.html"},
#endif
             {"plot", "own", "p", "--out", "p.svg"}}) {
        const Outcome outcome = program_.run(arguments);
        EXPECT_EQ(outcome.code, 0) << arguments[0] << ": " << outcome.err;
    }
    EXPECT_EQ(read_file(program_ / "y.npy").substr(128), read_file(program_ / "b.npy").substr(128));
}

}  // namespace
}  // namespace tomograph
