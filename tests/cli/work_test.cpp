// The commands at work: one after the other on a tiny model, interrupted, and the whole study.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "cli/program_files.h"
#include "support/golden.h"
#include "support/open_run.h"
#include "support/program.h"
#include "support/run_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

// One command after the other
// -------------------------------------------------------------------------------------------------------------

TEST(Cli, CapturesProjectsPlotsAndExports) {
    const Program program;
    const Outcome captured =
        program.run({"capture", "bytes-gpt2", "--out", "run", "--sequences", "2", "--length", "24",
                     "--components", "attn_out,mlp_out,pos_embed", "--threads", "1"});
    ASSERT_EQ(captured.code, 0) << captured.err;
    EXPECT_NE(captured.out.find("run: 2 sequences, 9 sites, 48 rows of vectors, "), std::string::npos)
        << captured.out;
    EXPECT_EQ(captured.err, "");

    const Outcome projected =
        program.run({"project", "run", "--name", "am", "--components", "attn_out,mlp_out", "--dims", "3",
                     "--positions", "1:", "--threads", "1"});
    ASSERT_EQ(projected.code, 0) << projected.err;
    EXPECT_TRUE(projected.out.starts_with("am: 368 of 368 rows, 3 dimensions\nvariance explained: "))
        << projected.out;

    for (const std::string file : {"am.png", "am.svg", "am.pdf"}) {
        const Outcome plotted = program.run({"plot", "run", "am", "--color", "layer", "--out", file});
        EXPECT_EQ(plotted.out, file + ": 368 points\n") << plotted.err;
        EXPECT_GT(fs::file_size(program / file), 1000u);
    }
    EXPECT_TRUE(is_png(program / "am.png"));
    // Before it was measured, and as though a view were of one projection.
    EXPECT_NE(program.run({"plot", "run", "am", "--color", "outlier", "--out", "o.png"})
                  .err.find("make it with: tomograph measure RUN"),
              std::string::npos);
#ifdef TOMOGRAPH_VIEWER
    const Outcome viewed = program.run({"view", "run", "am", "--no-open"});
    EXPECT_EQ(viewed.code, 1);
    EXPECT_NE(viewed.err.find("'am' is a projection of run"), std::string::npos) << viewed.err;
#endif

    EXPECT_EQ(program.run({"export", "run", "am", "--format", "csv", "--out", "am.csv"}).out, "am.csv\n");
    const std::string csv = read_file(program / "am.csv");
    EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 368);
    EXPECT_EQ(program.run({"export", "run", "blocks.1.attn_out", "--format", "npy", "--out", "a.npy"}).code,
              0);
    EXPECT_EQ(program.run({"export", "run", "am", "--format", "projector", "--out", "tb"}).code, 0);
    EXPECT_TRUE(fs::exists(program / "tb/metadata.tsv"));
    EXPECT_TRUE(temporaries_in(program.folder().path()).empty());
}

// Two ways to the same number: the scores of a capture, and what an act of no strength changes nothing of.
TEST(Cli, ScoresTokensAsInterveneDoes) {
    const Program program;
    const Outcome captured =
        program.run({"capture", "bytes-llama", "--out", "run", "--sequences", "3", "--length", "40",
                     "--components", "resid_post", "--scores", "--threads", "1"});
    ASSERT_EQ(captured.code, 0) << captured.err;
    const Outcome acted =
        program.run({"intervene", "bytes-llama", "--spec",
                     R"({"acts":[{"act":"zero","site":"blocks.0.attn_out","strength":0}]})", "--sequences",
                     "3", "--length", "40", "--json", "--no-control", "--threads", "1"});
    ASSERT_EQ(acted.code, 0) << acted.err;
    double sum = 0;
    int n = 0;
    const auto scored = open_run(program / "run");
    for (const float logprob : scored.score("logprob")) {
        if (std::isnan(logprob)) continue;
        sum += static_cast<double>(logprob);
        ++n;
    }
    EXPECT_EQ(n, 3 * 39);
    EXPECT_NEAR(-sum / n, parse_json(acted.out).at("loss").at("before").get<double>(), 1e-4);
    EXPECT_NE(captured.out.find("mean log-probability of a token -"), std::string::npos) << captured.out;
}

TEST(Cli, AnswersAChatAndShowsWhoSaysWhat) {
    const Program program;
    program.folder().write("chat.jsonl", R"({"messages":[{"role":"user","content":"Call me"}]})"
                                         "\n");
    program.folder().write(
        "chat.jinja",
        "{% for m in messages %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}");
    const Outcome captured = program.run({"capture", "bytes-llama", "--out", "run", "--jsonl", "chat.jsonl",
                                          "--chat-template", "chat.jinja", "--generate", "6", "--scores",
                                          "--components", "resid_post", "--threads", "1"});
    ASSERT_EQ(captured.code, 0) << captured.err;
    EXPECT_TRUE(captured.out.starts_with("0: ")) << captured.out;
    EXPECT_EQ(program.run({"verify", "run"}).code, 0);
    const Json text = parse_json(read_file(program / "run/texts.jsonl"));
    EXPECT_EQ(text.at("text"), "[Call me]>");
    EXPECT_EQ(text.at("answer").get<std::string>().size(), 6u);
    EXPECT_EQ(program
                  .run({"project", "run", "--name", "words", "--dims", "2", "--where", "origin=content",
                        "--threads", "1"})
                  .out.substr(0, 30),
              "words: 52 of 52 rows, 2 dimens");  // seven letters and six, at four layers
    for (const std::string color : {"role", "turn", "part", "logprob", "rank"}) {
        const Outcome plotted =
            program.run({"plot", "run", "words", "--color", color, "--out", color + ".png"});
        EXPECT_EQ(plotted.code, 0) << plotted.err;
    }
    EXPECT_EQ(program.run({"plot", "run", "words", "--color", "mood", "--out", "mood.png"}).code, 1);
    EXPECT_EQ(program.run({"project", "run", "--name", "x", "--where", "role"}).code, 2);
    program.run({"export", "run", "words", "--format", "csv", "--out", "words.csv"});
    EXPECT_TRUE(
        read_file(program / "words.csv")
            .starts_with("component,layer,position,sequence,token,piece,label,norm,role,turn,origin,part,"
                         "logprob,entropy,rank,"));
    // What was begun goes on to the same bytes.
    const std::string tokens = read_file(program / "run/tokens.safetensors");
    EXPECT_EQ(program
                  .run({"capture", "bytes-llama", "--out", "run", "--jsonl", "chat.jsonl", "--chat-template",
                        "chat.jinja", "--generate", "6", "--scores", "--components", "resid_post",
                        "--threads", "1", "--resume"})
                  .code,
              0);
    EXPECT_EQ(read_file(program / "run/tokens.safetensors"), tokens);
}

TEST(Cli, PutsLaterRowsIntoAnEarlierBasis) {
    const Program program;
    RunSketch().write(program / "run");
    ASSERT_EQ(program.run({"project", "run", "--name", "a", "--components", "attn_out", "--dims", "2"}).code,
              0);
    const Outcome outcome = program.run(
        {"project", "run", "--name", "b", "--components", "mlp_out", "--dims", "2", "--basis", "a"});
    EXPECT_TRUE(outcome.out.starts_with("b: 39 of 39 rows, 2 dimensions\n")) << outcome.out << outcome.err;
}

TEST(Cli, CapturesEveryKindOfPrompts) {
    const Program program;
    program.folder().write("a.jsonl", R"({"segments": [{"label": "context", "text": "abc"}]})");
    const std::vector<std::pair<std::string, Arguments>> kinds{
        {"text", {"--length", "8", "--sequences", "2"}},
        {"repeat", {"--token", "5", "--length", "8"}},
        {"vocabulary", {"--rows", "9"}},
        {"positions", {"--length", "8", "--sequences", "2"}},
        {"jsonl", {"--jsonl", "a.jsonl"}}};
    for (const auto& [kind, more] : kinds) {
        Arguments arguments{"capture", golden_model("llama"), "--prompts", kind, "--out",
                            kind,      "--threads",           "1"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome outcome = program.run(arguments);
        EXPECT_EQ(outcome.code, 0) << kind << ": " << outcome.err;
        EXPECT_EQ(open_run(program / kind).prompts(), kind);
    }
}

TEST(Cli, DecodesQuantisedWeightsWhenAsked) {
    const Program program;
    ASSERT_EQ(program.run({"quantize", "bytes-llama", "--type", "q8_0", "--out", "q8.gguf"}).code, 0);
    const auto capture = [&](const char* out, const char* weights) {
        return program.run(
            {"capture", "q8.gguf", "--out", out, "--prompt", "Call me Ishmael", "--weights", weights});
    };
    const Outcome decoded = capture("decoded", "auto");
    ASSERT_EQ(decoded.code, 0) << decoded.err;
    EXPECT_EQ(decoded.err, "") << "the note is for weights that take much memory";
    EXPECT_EQ(parse_json(read_file(program / "decoded/run.json")).at("model").at("held"), "F32");
    EXPECT_EQ(capture("stored", "as-stored").err, "");
    const Outcome resumed = program.run({"capture", "q8.gguf", "--out", "stored", "--prompt",
                                         "Call me Ishmael", "--weights", "f32", "--resume"});
    EXPECT_EQ(resumed.code, 1);
    EXPECT_NE(resumed.err.find("model.held"), std::string::npos) << resumed.err;
}

TEST(Cli, NotesWhatItCouldNotDo) {
    const Program program;
    program.folder().write("a.txt", "0123456789abcdef0123456789");
    const Outcome outcome = program.run({"capture", golden_model("llama"), "--out", "x", "--text", "a.txt",
                                         "--length", "16", "--sequences", "5", "--threads", "1"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err, "note: 1 sequences of 16 tokens instead of 5: the text has no more\n");
}

TEST(Cli, ReplacesARunByForce) {
    const Program program;
    RunSketch().write(program / "run");
    const Outcome outcome = program.run({"capture", golden_model("llama"), "--out", "run/", "--length", "8",
                                         "--sequences", "1", "--threads", "1", "--force"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(open_run(program / "run").model_name(), "golden-llama");
    EXPECT_EQ(program.files(), std::vector<std::string>{"run"});
}

// A constant input gives a rotary model the same vector at every position.
TEST(Cli, CallsAConstantSelectionConstant) {
    const Program program;
    ASSERT_EQ(program
                  .run({"capture", "bytes-llama", "--prompts", "repeat", "--token", "97", "--length", "16",
                        "--out", "run", "--components", "attn_out", "--threads", "1"})
                  .code,
              0);
    const Outcome outcome = program.run({"project", "run", "--name", "p", "--layers", "0", "--threads", "1"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_NE(outcome.out.find("constant: the variance is "), std::string::npos) << outcome.out;
    const Outcome plotted = program.run({"plot", "run", "p", "--out", "p.png"});
    EXPECT_EQ(plotted.code, 1);
    EXPECT_EQ(
        plotted.err,
        "tomograph: error: 'p' is constant: its rows are equal up to rounding; there is nothing to draw\n");
}

// info
// -------------------------------------------------------------------------------------------------------------

TEST(Cli, DescribesAModelInJsonAlone) {
    const Outcome outcome = Program().run({"info", "bytes-gpt2", "--json"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err, "");
    const Json json = Json::parse(outcome.out);
    EXPECT_EQ(json.at("kind"), "model");
    EXPECT_EQ(json.at("d_model"), 128);
    EXPECT_EQ(json.at("sites").size(), 35u);
}

TEST(Cli, DescribesARunInJsonAlone) {
    const Program program;
    RunSketch().write(program / "run");
    const Outcome outcome = program.run({"info", "run", "--json"});
    EXPECT_EQ(outcome.err, "");
    const Json json = Json::parse(outcome.out);
    EXPECT_EQ(json.at("kind"), "run");
    EXPECT_EQ(json.at("complete"), true);
    EXPECT_EQ(json.at("projections"), Json::array());
}

TEST(Cli, DescribesAStudyInJsonAlone) {
    const Program program;
    program.folder().write("study.json", R"({"model": {"name": "m"}, "runs": []})");
    const Outcome outcome = program.run({"info", ".", "--json"});
    EXPECT_EQ(Json::parse(outcome.out).at("kind"), "study");
}

TEST(Cli, DescribesARunInWords) {
    const Program program;
    RunSketch().write(program / "run");
    const Outcome outcome = program.run({"info", "run"});
    EXPECT_TRUE(outcome.out.starts_with("run of sketch on text prompts\n3 sequences, 13 tokens, longest 5; "))
        << outcome.out;
}

TEST(Cli, FindsADamagedShard) {
    const Program program;
    ASSERT_EQ(program
                  .run({"capture", "bytes-gpt2", "--out", "run", "--sequences", "2", "--length", "16",
                        "--components", "attn_out", "--threads", "1"})
                  .code,
              0);
    EXPECT_TRUE(program.run({"verify", "run"}).out.starts_with("run: 7 files, "));
    std::fstream shard(program / "run/shards/000000.safetensors",
                       std::ios::in | std::ios::out | std::ios::binary);
    shard.seekp(-200, std::ios::end);  // before the rows, which are checked anyway
    shard.put('?');
    shard.close();
    const Outcome outcome = program.run({"verify", "run"});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.out, "run/shards/000000.safetensors: does not hold the bytes that were written\n");
    EXPECT_TRUE(outcome.err.starts_with("tomograph: error: run is damaged: run/shards/000000.safetensors; "))
        << outcome.err;
}

TEST(Cli, SaysThatAStudyIsIncomplete) {
    const Program program;
    program.folder().write("study.json", R"({"model": {"name": "m"}, "runs": [], "status": "incomplete"})");
    EXPECT_TRUE(program.run({"info", "."}).out.starts_with("study of m: INCOMPLETE"));
}

TEST(Cli, SaysThatARunIsIncomplete) {
    const Program program;
    RunSketch sketch;
    sketch.whole_shards = 2;
    sketch.write(program / "run");
    EXPECT_NE(program.run({"info", "run"}).out.find("INCOMPLETE, 8 of 13 tokens"), std::string::npos);
    EXPECT_EQ(Json::parse(program.run({"info", "run", "--json"}).out).at("complete"), false);
}

// Ctrl-C
// -------------------------------------------------------------------------------------------------------------

/// Waits for `condition`; false after a minute.
template <class Condition>
bool wait_for(Condition condition) {
    for (int i = 0; i < 30'000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
}

TEST(Cli, LeavesAReadableRunAfterCtrlC) {
    const Program program;
    program.folder().write("a.txt", std::string(128 * 1000, 'x'));
    RunSketch().write(program / "run");
    const pid_t child = program.start({"capture", "bytes-llama", "--text", "a.txt", "--sequences", "1000",
                                       "--length", "128", "--out", "run", "--components", "embed",
                                       "--threads", "1", "--shard-mb", "1", "--force"});
    // The new run takes the earlier one's place once its first shard is whole.
    const bool first_batch_done = wait_for(
        [&] { return read_file(program / "run/run.json").find("\"incomplete\"") != std::string::npos; });
    ::kill(child, SIGINT);
    const Outcome outcome = program.finish(child);
    ASSERT_TRUE(first_batch_done);
    EXPECT_EQ(outcome.code, 130);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(outcome.err.starts_with("tomograph: stopped: ")) << outcome.err;
    EXPECT_FALSE(open_run(program / "run").complete());
    EXPECT_TRUE(temporaries_in(program.folder().path()).empty());
    EXPECT_NE(program.run({"info", "run"}).out.find("INCOMPLETE"), std::string::npos);
}

// The whole study
// -------------------------------------------------------------------------------------------------------------

TEST(LongCli, MakesAStudyInOneCommand) {
    const Program program;
    const Outcome outcome =
        program.run({"run", "bytes-gpt2", "--sequences", "4", "--twins", "2", "--out", "study"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;

    const Json study = read_json(program / "study/study.json");
    EXPECT_EQ(study.at("status"), "complete");
    for (const std::string name : {"text", "repeat", "vocabulary", "positions"})
        EXPECT_EQ(open_run(program / "study" / name).prompts(), name);
    EXPECT_NE(outcome.out.find("Untrained twins: 2 gaussian and 1 spectrum."), std::string::npos)
        << outcome.out;
    for (const Json& name : study.at("runs"))
        EXPECT_TRUE(open_run(program / "study" / name.get<std::string>()).complete()) << name;

    std::size_t pictures = 0;
    for (const Json& figure : study.at("figures")) {
        const std::string file = figure.at("file").get<std::string>();
        if (file.empty()) continue;
        ++pictures;
        EXPECT_TRUE(is_png(program / "study" / file)) << file;
        EXPECT_GT(fs::file_size(program / "study" / file), 5000u) << file;
    }
    EXPECT_GE(pictures, 15u);
    const std::string report = read_file(program / "study/report.html");
    EXPECT_NE(report.find("<h2>Findings: text</h2>"), std::string::npos);
    EXPECT_NE(report.find("src=\"data:image/png;base64,"), std::string::npos);
#ifdef TOMOGRAPH_VIEWER
    EXPECT_NE(report.find("data-path=\"runs/0/projections/attention-mlp-raw/axis0\""), std::string::npos);
    EXPECT_NE(outcome.out.find("\n  look     tomograph view study --model "), std::string::npos) << outcome.out;
#endif

    for (const char* line :
         {"report   study/report.html", "\nfirst token's norm   ", "\nvariance explained by two components ",
          "\ncosine between attention and MLP output "})
        EXPECT_NE(outcome.out.find(line), std::string::npos) << line;
    for (const char* number : {"first_token_norm_ratio", "variance_explained_2", "attention_mlp_cosine"})
        EXPECT_TRUE(study.at("numbers").contains(number)) << number;
    EXPECT_TRUE(temporaries_in(program.folder().path()).empty());
    EXPECT_NE(program.run({"info", "study"}).out.find("\nvocabulary:\nrun of bytes-gpt2"), std::string::npos);
}

}  // namespace
}  // namespace tomograph
