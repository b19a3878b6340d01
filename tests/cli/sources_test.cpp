// Where models and prompts come from, as the command line has it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/golden.h"
#include "support/open_run.h"
#include "support/program.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

class Sources : public testing::Test {
  protected:
    /// The program where all caches are in its own folder, and no hub can be reached.
    Outcome run(const Arguments& arguments) const {
        const std::string here = program_.folder().path().string();
        return program_.run(arguments, {"TOMOGRAPH_CACHE=" + here + "/own", "XDG_CACHE_HOME=" + here + "/xdg",
                                        "HF_HUB_CACHE=" + here + "/hub", "HF_HUB_OFFLINE=1", "HF_TOKEN="});
    }
    void write(const std::string& file, const std::string& bytes) const {
        fs::create_directories((program_ / file).parent_path());
        program_.folder().write(file, bytes);
    }
    /// A model in the hub's cache, as Hugging Face's own tools leave one.
    void cache_model() const {
        const std::string commit(40, 'c');
        write("hub/models--org--model/refs/main", commit);
        write("hub/models--org--model/snapshots/" + commit + "/m-F32.gguf", read_file(golden_model("llama")));
    }
    Program program_;
};

TEST_F(Sources, AreTheHubsCacheWhereAModelIsTaken) {
    cache_model();
    const Outcome outcome = run({"info", "hf:org/model"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("llama, F32 weights"), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.err, "note: hf:org/model is read as the cache has it: HF_HUB_OFFLINE is set\n");
}

TEST_F(Sources, AreNamedInTheRunByTheirFile) {
    cache_model();
    ASSERT_EQ(run({"capture", "hf:org/model:f32", "--prompt", "ab", "--out", "run"}).code, 0);
    const auto path = open_run(program_ / "run").json().at("model").at("path").get<std::string>();
    EXPECT_TRUE(path.ends_with("hub/models--org--model/snapshots/" + std::string(40, 'c') + "/m-F32.gguf"))
        << path;
}

TEST_F(Sources, RefuseANameThatIsNone) {
    const Outcome outcome = run({"info", "hf:model"});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.err,
              "tomograph: no name of a model on a hub: hf:model; write hf:org/name, "
              "hf:org/name:FILE.gguf or hf:org/name:Q4_K_M (see tomograph info --help)\n");
}

TEST_F(Sources, AreListed) {
    cache_model();
    write("own/a.gguf", read_file(golden_model("gpt2")));
    write("own/b.gguf", "no model");
    const Outcome outcome = run({"models"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("own/a.gguf: 200.2 kB, gpt2, "), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("own/b.gguf: 8 B, cannot be read: "), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("hf:org/model:m-F32.gguf: 201.6 kB, llama, F32\n"), std::string::npos)
        << outcome.out;
}

TEST_F(Sources, AreListedAsJson) {
    cache_model();
    const Json list = parse_json(run({"models", "--json"}).out);
    ASSERT_EQ(list.size(), 1u);
    EXPECT_EQ(list[0].at("name"), "hf:org/model:m-F32.gguf");
    EXPECT_EQ(list[0].at("architecture"), "llama");
    EXPECT_EQ(list[0].at("bytes"), fs::file_size(golden_model("llama")));
}

TEST_F(Sources, SayWhereThereAreNone) {
    const Outcome outcome = run({"models"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_TRUE(outcome.out.starts_with("no models in ")) << outcome.out;
}

TEST_F(Sources, ConvertNothingThatIsNoModelFolder) {
    fs::create_directory(program_ / "empty");
    const Outcome outcome = run({"convert", "empty", "--out", "m.gguf"});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.err,
              "tomograph: error: cannot convert empty: it has no config.json; give a model folder of "
              "Hugging Face\n");
    EXPECT_EQ(program_.files(), std::vector<std::string>{"empty"});
}

TEST_F(Sources, AreAColumnOfATable) {
    write("t.csv", "id,text,kind\n1,\"ab, c\",x\n2,,x\n3,de,y\n");
    const Outcome outcome = run({"capture", "bytes-llama", "--csv", "t.csv", "--column", "text",
                                 "--label-column", "kind", "--components", "embed", "--out", "run"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("note: passed over 1 row of t.csv without text\n"), std::string::npos)
        << outcome.err;
    const auto made = open_run(program_ / "run");
    EXPECT_EQ(made.n_sequences(), 2);
    EXPECT_EQ(made.labels(), (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(made.json().at("prompts").at("kind"), "csv");
    EXPECT_EQ(made.json().at("prompts").at("column"), "text");
}

TEST_F(Sources, NameTheColumnsThatATableHas) {
    write("t.csv", "id,text\n1,ab\n");
    EXPECT_EQ(run({"capture", "bytes-llama", "--csv", "t.csv", "--column", "prompt", "--out", "run"}).err,
              "tomograph: error: t.csv has no column 'prompt': it has id, text\n");
}

TEST_F(Sources, AreLinesOfAText) {
    write("t.txt", "one\ntwo\n");
    ASSERT_EQ(run({"capture", "bytes-llama", "--text", "t.txt", "--documents", "line", "--components",
                   "embed", "--out", "run"})
                  .code,
              0);
    EXPECT_EQ(open_run(program_ / "run").n_sequences(), 2);
}

}  // namespace
}  // namespace tomograph
