// list, remove, rename, completions, manual, --quiet and what a study says before it begins.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/program.h"
#include "tomograph/base/json.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

class Keep : public testing::Test {
  protected:
    Keep() {
        capture_ =
            program_.run({"capture", "bytes-gpt2", "--sequences", "2", "--length", "16", "--out", "r"}).code;
        project("a");
        project("b");
    }
    void project(const std::string& name) const {
        program_.run({"project", "r", "--name", name, "--components", "mlp_out", "--dims", "2"});
    }
    bool has(const std::string& name) const {
        return fs::exists(program_ / ("r/projections/" + name + ".safetensors")) &&
               fs::exists(program_ / ("r/projections/" + name + ".json"));
    }
    Program program_;
    int capture_ = -1;
};

TEST_F(Keep, ListsRunsWithTheirProjections) {
    ASSERT_EQ(capture_, 0);
    program_.folder().write("notes.txt", "no run");
    fs::create_directory(program_ / "empty");
    const Outcome listed = program_.run({"list"});
    EXPECT_EQ(listed.code, 0);
    EXPECT_TRUE(listed.out.starts_with("r ")) << listed.out;
    EXPECT_TRUE(listed.out.ends_with("bytes-gpt2, text, 2 × 16; projections a, b\n")) << listed.out;
    const Json json = parse_json(program_.run({"list", ".", "--json"}).out);
    ASSERT_EQ(json.size(), 1u);
    EXPECT_EQ(json[0].at("projections"), (Json{"a", "b"}));
    EXPECT_GT(json[0].at("bytes").get<std::int64_t>(), 100'000);
    EXPECT_EQ(program_.run({"list", "empty"}).out,
              "no run and no study in empty; capture and run make them\n");
    EXPECT_EQ(program_.run({"list", "absent"}).code, 1);
    // One that cannot be read is listed all the same.
    program_.folder().write("r/run.json", "{}");
    EXPECT_NE(program_.run({"list"}).out.find("cannot be read"), std::string::npos);
}

TEST_F(Keep, RemovesAllThatAreNamedOrNone) {
    const Outcome slip = program_.run({"remove", "r", "a", "c"});
    EXPECT_EQ(slip.code, 1);
    EXPECT_NE(slip.err.find("no projection 'c' in r: it has a, b"), std::string::npos) << slip.err;
    EXPECT_TRUE(has("a"));
    EXPECT_EQ(program_.run({"remove", "r", "a"}).out, "a is deleted\n");
    EXPECT_FALSE(fs::exists(program_ / "r/projections/a.safetensors") ||
                 fs::exists(program_ / "r/projections/a.json"));
    EXPECT_TRUE(has("b"));
    EXPECT_EQ(program_.run({"remove", "r", "../run"}).code, 1);
    EXPECT_TRUE(fs::exists(program_ / "r/run.json"));
}

TEST_F(Keep, RenamesWhereNothingIsInTheWay) {
    const Outcome taken = program_.run({"rename", "r", "a", "b"});
    EXPECT_EQ(taken.code, 1);
    EXPECT_NE(taken.err.find("there is a projection 'b' already"), std::string::npos) << taken.err;
    EXPECT_EQ(program_.run({"rename", "r", "a", "c/d"}).code, 1);
    EXPECT_EQ(program_.run({"rename", "r", "a", "c"}).code, 0);
    EXPECT_TRUE(has("c"));
    EXPECT_FALSE(has("a"));
    EXPECT_EQ(program_.run({"plot", "r", "c", "--out", "c.svg"}).code, 0) << "it can be used as before";
}

TEST_F(Keep, QuietKeepsNotesToItself) {
    const Arguments asked{"capture", "bytes-gpt2",   "--sequences", "10000",        "--length",
                          "16",      "--components", "resid_post",  "--no-vectors", "--out"};
    Arguments loud = asked, quiet = asked, before{"--quiet"};
    loud.push_back("loud");
    quiet.insert(quiet.end(), {"quiet", "--quiet"});
    before.insert(before.end(), asked.begin(), asked.end());
    before.push_back("before");
    EXPECT_NE(program_.run(loud).err.find("note: "), std::string::npos);
    const Outcome silent = program_.run(quiet);
    EXPECT_EQ(silent.code, 0);
    EXPECT_EQ(silent.err, "");
    EXPECT_NE(silent.out, "");
    EXPECT_EQ(program_.run(before).err, "");
    EXPECT_NE(program_.run({"info", "absent", "-q"}).err, "") << "errors stay";
}

TEST(Shell, CompletesEveryCommandAndTheWordsOfItsOptions) {
    const Program program;
    const Outcome bash = program.run({"completions", "bash"});
    ASSERT_EQ(bash.code, 0);
    program.folder().write("completion.bash", bash.out);
    program.folder().write("ask.bash", R"(source ./completion.bash
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tomograph; echo "${COMPREPLY[*]}"; }
ask tomograph cap
ask tomograph project r --meth
ask tomograph project r --method u
ask tomograph compare com
)");
    const std::string answers = program.folder() / "answers";
    ASSERT_EQ(std::system(("cd " + program.folder().path().string() + " && bash ask.bash > answers").c_str()),
              0);
    EXPECT_EQ(read_file(answers), "capture\n--method\numap\ncompletion.bash\n");
    const Outcome fish = program.run({"completions", "fish"});
    EXPECT_NE(fish.out.find("__fish_seen_subcommand_from project' -l method"), std::string::npos);
    EXPECT_EQ(program.run({"completions", "cmd"}).code, 2);
}

TEST(Shell, TheManualHasEveryCommand) {
    const Program program;
    const std::string page = program.run({"manual"}).out;
    EXPECT_TRUE(page.starts_with(".TH TOMOGRAPH 1"));
    for (const char* command : {"capture", "intervene", "rename"})
        EXPECT_NE(page.find(std::string("\n.SS ") + command + "\n"), std::string::npos) << command;
    EXPECT_NE(page.find("\\-\\-sequences"), std::string::npos);
}

TEST(Study, SaysWhatItWouldReadAndWritesNothing) {
    const Program program;
    const Arguments asked{"run", "bytes-gpt2", "--sequences", "3", "--length", "32", "--twins", "1"};
    Arguments dry = asked;
    dry.insert(dry.end(), {"--dry-run", "--skip", "vocabulary"});
    const Outcome plan = program.run(dry);
    EXPECT_EQ(plan.code, 0) << plan.err;
    EXPECT_NE(plan.err.find("note: 3 sequences are too few for an interval"), std::string::npos) << plan.err;
    for (const char* run :
         {"\n  text ", "\n  repeat ", "\n  positions ", "\n  twin-1 ", "\n  twin-spectrum "})
        EXPECT_NE(plan.out.find(run), std::string::npos) << run << plan.out;
    EXPECT_EQ(plan.out.find("vocabulary"), std::string::npos);
    EXPECT_NE(plan.out.find(" tokens at about "), std::string::npos) << plan.out;
    EXPECT_EQ(program.files().size(), 0u);
    Arguments only = asked;
    only.insert(only.end(), {"--dry-run", "--only", "text,vocabulary", "--vocabulary", "7"});
    const std::string few = program.run(only).out;
    EXPECT_NE(few.find("vocabulary         7 sequences"), std::string::npos) << few;
    EXPECT_EQ(few.find("repeat"), std::string::npos);
    for (const Arguments& slip : {Arguments{"--only", "words"}, Arguments{"--skip", "text"},
                                  Arguments{"--skip", "twins", "--only", "repeat"}}) {
        Arguments wrong = asked;
        wrong.insert(wrong.end(), slip.begin(), slip.end());
        EXPECT_EQ(program.run(wrong).code, 2);
    }
    EXPECT_EQ(program.files().size(), 0u);
}

}  // namespace
}  // namespace tomograph
