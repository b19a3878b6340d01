// The commands at work: one after the other on a tiny model, interrupted, and the whole study.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "support/golden.h"
#include "support/open_run.h"
#include "support/program.h"
#include "support/run_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/random.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

std::vector<fs::path> temporaries_in(const fs::path& folder) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".tmp") || name.ends_with(".partial")) found.push_back(entry.path());
    }
    return found;
}

bool is_png(const fs::path& path) {
    return read_file(path).starts_with("\x89PNG\r\n\x1a\n");
}

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
    EXPECT_TRUE(program.run({"verify", "run"}).out.starts_with("run: 8 files, "));
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

// Measures
// -------------------------------------------------------------------------------------------------------------

/// RUN of bytes-gpt2 on a few short sequences, or of `model`.
Outcome capture_few(const Program& program, const std::string& run, const std::string& model = "bytes-gpt2") {
    return program.run(
        {"capture", model, "--out", run, "--sequences", "6", "--length", "32", "--threads", "1"});
}

TEST(Cli, MeasuresARunAgainstItsTwin) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    ASSERT_EQ(program.run({"randomize", "bytes-gpt2", "--out", "twin.gguf"}).code, 0);
    ASSERT_EQ(capture_few(program, "twin", "twin.gguf").code, 0);
    ASSERT_EQ(program.run({"randomize", "bytes-gpt2", "--keep", "spectrum", "--out", "spectrum.gguf"}).code,
              0);
    ASSERT_EQ(capture_few(program, "spectrum", "spectrum.gguf").code, 0);
    ASSERT_EQ(program.run({"lens", "run", "--threads", "1"}).code, 0);
    const Arguments arguments{"measure", "run", "--twin",      "twin", "spectrum",
                              "--rows",  "100", "--bootstrap", "20",   "--json"};
    const Outcome outcome = program.run(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json json = Json::parse(outcome.out);
    ASSERT_EQ(json.at("findings").size(), 16u);
    for (const Json& finding : json["findings"]) {
        ASSERT_TRUE(finding.at("figure").is_string()) << finding;
        EXPECT_TRUE(is_png(program / "run" / finding["figure"].get<std::string>())) << finding;
    }
    EXPECT_TRUE(fs::exists(program / "run/measures/findings.csv"));
    const Json measured = read_json(program / "run/measures/findings.json");
    for (const Json& finding : measured.at("findings")) {
        if (finding.at("name") == "anisotropy") {
            EXPECT_EQ(finding.at("twins").at("gaussian").size(), 1u);
            EXPECT_EQ(finding.at("twins").at("spectrum").size(), 1u);
        }
    }
    EXPECT_TRUE(temporaries_in(program.folder().path()).empty());
}

TEST(Cli, FailsOnAFindingWhenAsked) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    Arguments arguments{"measure",     "run", "--rows",    "100",
                        "--bootstrap", "20",  "--fail-on", "first_token_norm"};
    const Outcome found = program.run(arguments);
    EXPECT_EQ(found.code, 3);
    EXPECT_TRUE(found.err.ends_with("tomograph: found first_token_norm\n")) << found.err;
    arguments.back() = "first_token_norm:absent";
    EXPECT_EQ(program.run(arguments).code, 0);
    arguments.back() = "second_token_norm";
    const Outcome unknown = program.run(arguments);
    EXPECT_EQ(unknown.code, 1);
    EXPECT_NE(unknown.err.find("second_token_norm"), std::string::npos) << unknown.err;
}

TEST(Cli, MeasuresWithoutGnuplotButDrawsNothing) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    ::setenv("TOMOGRAPH_GNUPLOT", "/nowhere/gnuplot", 1);
    const Outcome outcome = program.run({"measure", "run", "--rows", "100", "--bootstrap", "20"});
    ::unsetenv("TOMOGRAPH_GNUPLOT");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("note: no figures were drawn: "), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(program / "run/figures"));
}

TEST(Cli, AFigureThatFailsIsNamedAndCostsNoNumber) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    program.folder().write("gnuplot", "#!/bin/sh\necho no room left >&2\nexit 1\n");
    fs::permissions(program / "gnuplot", fs::perms::owner_all);
    const Outcome outcome = program.run({"measure", "run", "--rows", "100", "--bootstrap", "20"},
                                        {"TOMOGRAPH_GNUPLOT=" + (program / "gnuplot").string()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("warning: figures/anisotropy-by-layer.png was not drawn: "), std::string::npos)
        << outcome.err;
    EXPECT_EQ(read_json(program / "run/measures/findings.json").at("findings").size(), 16u);
    EXPECT_TRUE(fs::exists(program / "run/measures/outliers.csv"));
}

/// A .npy file of version 1.0 with float32 rows.
void write_npy(const fs::path& path, const Matrix& rows) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows.rows()) +
                         ", " + std::to_string(rows.cols()) + "), }";
    header.resize((10 + header.size() + 64) / 64 * 64 - 11, ' ');
    header += '\n';
    std::ofstream file(path, std::ios::binary);
    file << "\x93NUMPY" << '\1' << '\0' << static_cast<char>(header.size() % 256)
         << static_cast<char>(header.size() / 256) << header;
    file.write(reinterpret_cast<const char*>(rows.data()),
               static_cast<std::streamsize>(sizeof(float) * static_cast<std::size_t>(rows.size())));
}

TEST(Cli, MeasuresWhatWasImported) {
    const Program program;
    Rng rng(4);
    Matrix rows(200, 8);
    for (float& value : rows.reshaped()) value = static_cast<float>(rng.normal() + 2);
    rows(150, 3) = std::numeric_limits<float>::quiet_NaN();
    write_npy(program / "x.npy", rows);
    std::string labels = "sequence,label\n";
    for (int i = 0; i < 200; ++i)
        labels += std::to_string(i / 20) + "," + (i % 2 == 0 ? "even" : "odd") + "\n";
    program.folder().write("labels.csv", labels);
    ASSERT_EQ(program.run({"import", "x.npy", "--out", "r", "--labels", "labels.csv"}).code, 0);
    const Outcome outcome = program.run({"measure", "r", "--rows", "100", "--bootstrap", "20"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("note: 1 of 200 rows hold NaN or Inf and are left out"), std::string::npos)
        << outcome.out;
    const Json measured = read_json(program / "r/measures/findings.json");
    for (const Json& finding : measured.at("findings")) {
        if (finding.at("name") == "anisotropy") {
            EXPECT_EQ(finding.at("verdict"), "holds");
        }
        if (finding.at("verdict") != "holds") {
            EXPECT_NE(finding.value("reason", ""), "") << finding;
        }
    }
}

TEST(Cli, FailsOnOutliersOnlyAgainstAReference) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    Arguments arguments{"measure", "run", "--rows", "100", "--bootstrap", "20", "--fail-on", "outliers"};
    const Outcome refused = program.run(arguments);
    EXPECT_EQ(refused.code, 1);
    EXPECT_NE(refused.err.find("cannot fail on outliers without a reference"), std::string::npos)
        << refused.err;
    EXPECT_FALSE(fs::exists(program / "run/measures")) << "refused before anything is measured";
    arguments.insert(arguments.end(), {"--reference", "run"});
    EXPECT_EQ(program.run(arguments).code, 0) << "a run is ordinary beside itself";
}

TEST(Cli, ListsTheFindings) {
    const Program program;
    const Outcome outcome = program.run({"measure", "--list"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("| `layer_cka` |"), std::string::npos) << outcome.out;
}

TEST(Cli, ComparesAModelWithItsQuantisation) {
    const Program program;
    ASSERT_EQ(program.run({"quantize", "bytes-gpt2", "--type", "q4_0", "--out", "q4.gguf"}).code, 0);
    ASSERT_EQ(capture_few(program, "base").code, 0);
    ASSERT_EQ(capture_few(program, "again").code, 0);
    ASSERT_EQ(capture_few(program, "q4", "q4.gguf").code, 0);
    const auto change_of_layers = [&](const std::string& other) {
        const Outcome outcome = program.run({"compare", "base", other, "--json", "--figure", other + ".png"});
        EXPECT_EQ(outcome.code, 0) << outcome.err;
        EXPECT_TRUE(is_png(program / (other + ".png")));
        return Json::parse(outcome.out);
    };
    const Json moved = change_of_layers("q4"), still = change_of_layers("again");
    ASSERT_EQ(moved.at("ranking").size(), 4u) << moved;
    for (const Json& layer : moved["ranking"]) EXPECT_GT(layer.at("movement").get<double>(), 0.01) << layer;
    for (const Json& layer : still.at("ranking"))
        EXPECT_LT(layer.at("movement").get<double>(), 1e-6) << layer;
}

TEST(Cli, RefusesToCompareDifferentTokens) {
    const Program program;
    ASSERT_EQ(capture_few(program, "a").code, 0);
    ASSERT_EQ(program.run({"capture", "bytes-gpt2", "--out", "b", "--sequences", "6", "--length", "16"}).code,
              0);
    const Outcome outcome = program.run({"compare", "a", "b"});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
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
