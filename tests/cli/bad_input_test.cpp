// One clear line, a non-zero exit and no half-written file for everything that a user may get wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "support/file_size_limit.h"
#include "support/golden.h"
#include "support/program.h"
#include "support/run_folder.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

class BadInput : public testing::Test {
  protected:
    /// The one line of a command that must fail, without "tomograph: error: ".
    std::string error(const Arguments& arguments, const std::vector<std::string>& environment = {}) {
        const Outcome outcome = program_.run(arguments, environment);
        EXPECT_EQ(outcome.code, 1) << outcome.err;
        EXPECT_EQ(outcome.out, "");
        EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
        const std::string before = "tomograph: error: ";
        EXPECT_TRUE(outcome.err.starts_with(before)) << outcome.err;
        if (outcome.err.size() <= before.size()) return outcome.err;
        return outcome.err.substr(before.size(), outcome.err.size() - before.size() - 1);
    }
    /// The line of a command that was typed wrongly, without "tomograph: " and the pointer to its help.
    std::string usage_error(const Arguments& arguments) {
        const Outcome outcome = program_.run(arguments);
        EXPECT_EQ(outcome.code, 2) << outcome.err;
        const std::string before = "tomograph: ",
                          after = " (see tomograph " + arguments.front() + " --help)\n";
        EXPECT_TRUE(outcome.err.starts_with(before) && outcome.err.ends_with(after)) << outcome.err;
        if (outcome.err.size() <= before.size() + after.size()) return outcome.err;
        return outcome.err.substr(before.size(), outcome.err.size() - before.size() - after.size());
    }
    /// The error of `capture golden-llama --out x --length 16` and more.
    std::string capture_error(const Arguments& more, const std::string& model = golden_model("llama")) {
        Arguments arguments{"capture", model, "--out", "x", "--threads", "1"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const std::string line = error(arguments);
        EXPECT_FALSE(fs::exists(program_ / "x"));
        return line;
    }
    void write_run() { RunSketch().write(program_ / "run"); }
    std::string write(std::string_view name, std::string_view bytes) {
        program_.folder().write(name, bytes);
        return std::string(name);
    }
    Program program_;
};

// Models
// -------------------------------------------------------------------------------------------------------------

TEST_F(BadInput, MayBeAMissingModel) {
    EXPECT_EQ(capture_error({}, "absent.gguf"),
              "no model at absent.gguf: no such file; give a .gguf file, or "
              "bytes-gpt2 or bytes-llama, which are built in");
}

TEST_F(BadInput, MayBeMoreThreadsThanThereAre) {
    const std::string refusal =
        "100000 threads are too many: at most 512 can be used; leave --threads away to use all processors";
    EXPECT_EQ(error({"capture", "bytes-gpt2", "--out", "x", "--threads", "100000"}), refusal);
    EXPECT_EQ(error({"quantize", "bytes-gpt2", "--type", "q8_0", "--out", "x", "--threads", "100000"}),
              refusal);
    EXPECT_FALSE(fs::exists(program_ / "x"));
}

TEST_F(BadInput, MayBeATruncatedModel) {
    const std::string path = golden_path("bad/truncated.gguf");
    EXPECT_EQ(capture_error({}, path),
              path + " is truncated: it has 16144 bytes of 201600; download or copy it again");
}

TEST_F(BadInput, MayBeAModelCutInItsHeader) {
    const std::string bytes = read_file(golden_model("llama"));
    EXPECT_TRUE(capture_error({}, write("cut.gguf", bytes.substr(0, 300)))
                    .starts_with("cannot read the header of cut.gguf"));
}

TEST_F(BadInput, MayBeAFileThatIsNoModel) {
    EXPECT_EQ(capture_error({}, write("a.gguf", "hello")),
              "a.gguf is not a GGUF file: it does not begin with the letters GGUF; convert the model's "
              "folder: tomograph convert FOLDER --out FILE.gguf");
}

TEST_F(BadInput, MayBeAnEmptyModel) {
    EXPECT_TRUE(capture_error({}, write("a.gguf", "")).starts_with("a.gguf is not a GGUF file"));
}

TEST_F(BadInput, MayBeAFolderForAModel) {
    EXPECT_EQ(capture_error({}, program_.folder().path().string()),
              program_.folder().path().string() + " is not a model: it is a folder; give a .gguf file");
}

TEST_F(BadInput, MayBeAModelThatIsNoLanguageModel) {
    const std::string path = golden_path("bad/not_a_model.gguf");
    EXPECT_EQ(capture_error({}, path), path + " is not a language model: its header names no architecture");
}

TEST_F(BadInput, MayBeAnImageModel) {
    EXPECT_NE(capture_error({}, golden_path("bad/clip.gguf")).find("the part of a model that sees images"),
              std::string::npos);
}

TEST_F(BadInput, MayAskAnEncoderWhatItExpects) {
    const std::string path = golden_path("encoders/bert.gguf");
    EXPECT_EQ(
        capture_error({"--scores"}, path),
        "cannot keep scores of bert: its tokens see those that follow them, and none is predicted; leave "
        "out --scores");
}

TEST_F(BadInput, MayBeAMissingModelToAskAbout) {
    EXPECT_TRUE(error({"info", "absent"}).starts_with("no model at absent: no such file"));
}

// Prompts
// -------------------------------------------------------------------------------------------------------------

TEST_F(BadInput, MayBeAMissingText) {
    const std::string why = "cannot open absent.txt: No such file or directory";
    EXPECT_EQ(capture_error({"--text", "absent.txt"}), why);
    // Said before a model is looked for, which may take long to load.
    for (const char* flag : {"--text", "--jsonl", "--csv", "--chat-template"})
        EXPECT_EQ(capture_error({flag, "absent.txt"}, "absent.gguf"), why);
    EXPECT_EQ(error({"run", "absent.gguf", "--text", "absent.txt"}), why);
}

TEST_F(BadInput, MayBeAnEmptyText) {
    EXPECT_EQ(capture_error({"--text", write("a.txt", "")}), "a.txt is empty; give a file with text");
}

TEST_F(BadInput, MayBeABinaryText) {
    EXPECT_EQ(capture_error({"--text", write("a.txt", {"a\0b", 3})}),
              "a.txt is not text: it holds zero bytes; give a plain text file");
}

TEST_F(BadInput, MayBeATokenOutOfRange) {
    EXPECT_EQ(capture_error({"--prompts", "repeat", "--token", "256"}),
              "no token 256: golden-llama has tokens 0 to 255");
}

TEST_F(BadInput, MayBeAPrefixOutOfRange) {
    EXPECT_EQ(capture_error({"--prompts", "repeat", "--token", "1", "--prefix", "-5"}),
              "no token -5: golden-llama has tokens 0 to 255");
}

TEST_F(BadInput, MayBeAWordOfSeveralTokens) {
    EXPECT_EQ(capture_error({"--prompts", "repeat", "--word", "a\nb"}),
              "'a\\nb' is 3 tokens for golden-llama: 'a' (97), '\\n' (10), 'b' (98); give one of them by "
              "--token ID");
}

TEST_F(BadInput, MayBeAStartTokenThatTheModelHasNot) {
    EXPECT_EQ(capture_error({"--start", "yes"}), "golden-llama has no start token; use --start no");
}

TEST_F(BadInput, MayBeABrokenLineOfJson) {
    write("a.jsonl", "{\"text\": \"fine\"}\n{\"text\": \n");
    EXPECT_TRUE(capture_error({"--prompts", "jsonl", "--jsonl", "a.jsonl"})
                    .starts_with("line 2 of a.jsonl cannot be used: "));
}

TEST_F(BadInput, MayBeALengthAboveALearnedTable) {
    const std::string line =
        "length 65 is above the context of golden-gpt2: its position table has 64 rows; use "
        "--length 64 or less";
    for (const Arguments& prompts :
         {Arguments{}, {"--prompts", "positions"}, {"--prompts", "repeat", "--token", "1"}}) {
        Arguments more{"--length", "65"};
        more.insert(more.end(), prompts.begin(), prompts.end());
        EXPECT_EQ(capture_error(more, golden_model("gpt2")), line);
    }
}

TEST_F(BadInput, MayBeALengthThatNoMemoryHolds) {
    for (const char* model : {"bytes-gpt2", "bytes-llama"}) {
        const std::string line =
            capture_error({"--length", "9223372036854775807", "--prompts", "positions"}, model);
        EXPECT_TRUE(line.ends_with("use --length 128 or less")) << line;
    }
}

TEST_F(BadInput, IsNotALengthAboveARotaryContext) {
    const Outcome outcome = program_.run({"capture", golden_model("llama"), "--out", "x", "--length", "70",
                                          "--sequences", "1", "--threads", "1"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err,
              "warning: length 70 is above the context of 64 tokens that golden-llama was trained on\n");
}

// What to capture
// -------------------------------------------------------------------------------------------------------------

TEST_F(BadInput, MayBeLayersThatDoNotExist) {
    EXPECT_EQ(capture_error({"--layers", "1:4"}), "no layers 1:4: there are 3: 0 to 2; a range is half-open");
}

TEST_F(BadInput, MayBeNoRange) {
    EXPECT_EQ(usage_error({"capture", golden_model("llama"), "--out", "x", "--layers", "all"}),
              "'all' is no range of layers; write for example 2:9 (half-open), 1:, :5, or -1 for the last");
}

TEST_F(BadInput, MayBeAComponentThatNoModelHas) {
    EXPECT_EQ(usage_error({"capture", golden_model("llama"), "--out", "x", "--components", "soul"}),
              "no component 'soul': there are embed, pos_embed, resid_pre, attn_hc_pre, attn_depth, attn_in, "
              "ln1, z, "
              "state, attn_out, mixer_out, cross_ln, cross_z, cross_attn_out, attn_hc_comb, attn_hc_post, "
              "resid_mid, mlp_hc_pre, mlp_depth, mlp_in, ln2, router, mlp_out, moe_out, ple_out, skip_out, "
              "mlp_hc_comb, mlp_hc_post, resid_post, ln_final");
}

TEST_F(BadInput, MayBeAComponentThatThisModelHasNot) {
    EXPECT_EQ(
        capture_error({"--components", "pos_embed"}),
        "golden-llama has no component pos_embed: it has embed, resid_pre, ln1, z, attn_out, resid_mid, ln2, "
        "mlp_out, resid_post, ln_final");
}

TEST_F(BadInput, MayBePositionsPastTheLength) {
    EXPECT_EQ(capture_error({"--positions", "16:", "--length", "16"}),
              "no positions 16:: there are 16: 0 to 15; a range is half-open");
}

TEST_F(BadInput, MayBeASampleOfMoreThanAll) {
    EXPECT_EQ(capture_error({"--sample", "2"}), "--sample 2 is no fraction; use a number above 0, up to 1");
}

// Folders
// -------------------------------------------------------------------------------------------------------------

TEST_F(BadInput, MayBeARunFolderThatExists) {
    write_run();
    const std::string before = read_file(program_ / "run/run.json");
    EXPECT_EQ(error({"capture", "absent.gguf", "--out", "run"}),
              "run exists; use --force to replace it, or name another --out");
    EXPECT_EQ(read_file(program_ / "run/run.json"), before);
}

TEST_F(BadInput, MayBeAStudyFolderThatExists) {
    write("study.json", "{}");
    EXPECT_EQ(error({"run", "absent.gguf", "--out", "."}),
              ". exists; use --force to replace it, or name another --out");
}

TEST_F(BadInput, MayBeAnOutputFolderThatIsNoRun) {
    fs::create_directory(program_ / "home");
    write("home/thesis.tex", "years of work");
    for (const Arguments& force : {Arguments{}, {"--force"}}) {
        Arguments arguments{"capture", golden_model("llama"), "--out", "home"};
        arguments.insert(arguments.end(), force.begin(), force.end());
        EXPECT_EQ(
            error(arguments),
            "home exists and is not a run: it will not be deleted, with --force neither; name another --out");
    }
    EXPECT_EQ(read_file(program_ / "home/thesis.tex"), "years of work");
}

TEST_F(BadInput, MayBeNoRun) {
    for (const Arguments& arguments : {Arguments{"project", "absent", "--name", "p"},
                                       {"plot", "absent", "p", "--out", "p.png"},
                                       {"export", "absent", "embed", "--format", "csv", "--out", "x.csv"}})
        EXPECT_EQ(error(arguments),
                  "no run at absent: there is no such folder; make one with: tomograph capture");
}

TEST_F(BadInput, MayBeARunOfANewerVersion) {
    fs::create_directory(program_ / "run");
    write("run/run.json", R"({"format": 3})");
    EXPECT_EQ(error({"info", "run"}),
              "run was written by a newer tomograph: format 3, known is 2; update tomograph");
}

TEST_F(BadInput, MayBeADamagedRun) {
    write_run();
    const fs::path shard = program_ / "run/shards/000001.safetensors";
    fs::resize_file(shard, fs::file_size(shard) / 2);
    EXPECT_NE(error({"info", "run"}).find(" was cut or damaged: it has "), std::string::npos);
}

TEST_F(BadInput, MayBeAStudyForARun) {
    fs::create_directory(program_ / "study");
    write("study/study.json", "{}");
    EXPECT_EQ(error({"project", "study", "--name", "p"}),
              "study is a study, a folder of runs; name one of its runs, for example study/text");
}

// Projections, figures, exports
// -------------------------------------------------------------------------------------------------------------

TEST_F(BadInput, MayBeANameThatIsNoFiles) {
    write_run();
    EXPECT_EQ(error({"project", "run", "--name", "../p"}),
              "'../p' cannot name a projection: it becomes a file's name; use letters, digits, - and _");
}

TEST_F(BadInput, MayBeAnUnknownNormalisation) {
    write_run();
    EXPECT_EQ(usage_error({"project", "run", "--name", "p", "--normalize", "max"}),
              "cannot normalize by 'max'; use none, unit or layernorm");
}

TEST_F(BadInput, MayBeAComponentThatTheRunHasNot) {
    write_run();
    EXPECT_EQ(error({"project", "run", "--name", "p", "--components", "ln1"}),
              "run holds no ln1: it holds embed, z, attn_out, router, mlp_out");
}

TEST_F(BadInput, MayBeAProjectionThatIsMissing) {
    write_run();
    EXPECT_EQ(error({"plot", "run", "p", "--out", "p.png"}),
              "no projection 'p' in run: it has none; make one with: tomograph project");
}

TEST_F(BadInput, MayBeAFigureOfAnotherKind) {
    write_run();
    EXPECT_NE(error({"plot", "run", "p", "--out", "p.jpg"}).find("png"), std::string::npos);
}

TEST_F(BadInput, MayBeANameThatNothingHas) {
    write_run();
    EXPECT_EQ(error({"export", "run", "soul", "--format", "csv", "--out", "x.csv"}),
              "run holds neither a projection nor a site 'soul': it has no projections; see its sites with: "
              "tomograph "
              "info run");
    EXPECT_FALSE(fs::exists(program_ / "x.csv"));
}

TEST_F(BadInput, MayBeAProjectionThatDoesNotFitItsRun) {
    write_run();
    ASSERT_EQ(program_.run({"project", "run", "--name", "p", "--components", "attn_out"}).code, 0);
    RunSketch shorter;
    shorter.lengths = {2};
    fs::rename(program_ / "run/projections", program_ / "projections");
    fs::remove_all(program_ / "run");
    shorter.write(program_ / "run");
    fs::rename(program_ / "projections", program_ / "run/projections");
    EXPECT_EQ(
        error({"export", "run", "p", "--format", "csv", "--out", "x.csv"}),
        "run/projections/p.safetensors does not fit its run: its rows are not ones that the run has; project "
        "again");
}

TEST_F(BadInput, MayBeNoGnuplotBeforeAnythingIsCaptured) {
    const std::string line =
        error({"run", golden_model("llama"), "--out", "x"}, {"TOMOGRAPH_GNUPLOT=/absent"});
    EXPECT_NE(line.find("gnuplot"), std::string::npos) << line;
    EXPECT_TRUE(program_.files().empty());
}

TEST_F(BadInput, MayBeNoGnuplotToPlot) {
    write_run();
    ASSERT_EQ(program_.run({"project", "run", "--name", "p", "--components", "attn_out"}).code, 0);
    const std::string line = error({"plot", "run", "p", "--out", "p.png"}, {"TOMOGRAPH_GNUPLOT=/absent"});
    EXPECT_NE(line.find("gnuplot"), std::string::npos) << line;
    EXPECT_FALSE(fs::exists(program_ / "p.png"));
}

TEST_F(BadInput, MayBeAQuantisedModelOverItself) {
    fs::copy_file(golden_model("llama"), program_ / "a.gguf");
    const std::string before = read_file(program_ / "a.gguf");
    error({"quantize", "a.gguf", "--type", "f16", "--out", "a.gguf"});
    EXPECT_EQ(read_file(program_ / "a.gguf"), before);
}

// No room on disk
// -------------------------------------------------------------------------------------------------------------

TEST_F(BadInput, MayBeAFullDisk) {
    const FileSizeLimit limit(300'000);
    EXPECT_EQ(error({"capture", golden_model("llama"), "--out", "x", "--length", "64", "--sequences", "4",
                     "--dtype", "f32", "--threads", "1"}),
              "cannot reserve room for x/shards/000000.safetensors: File too large");
    EXPECT_TRUE(program_.files().empty());
}

TEST_F(BadInput, MayBeAFullDiskThatCostsNoEarlierRun) {
    write_run();
    const std::string before = read_file(program_ / "run/run.json");
    const FileSizeLimit limit(300'000);
    error({"capture", golden_model("llama"), "--out", "run", "--length", "64", "--sequences", "4", "--dtype",
           "f32", "--threads", "1", "--force"});
    EXPECT_EQ(read_file(program_ / "run/run.json"), before);
    EXPECT_EQ(program_.files().size(), 1u);
}

}  // namespace
}  // namespace tomograph
