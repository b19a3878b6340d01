#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

const Site kEmbedSite{Component::embed, -1};

// What is no run
// -------------------------------------------------------------------------------------------------------------

TEST(NoRun, IsAFolderThatIsMissing) {
    const TempFolder folder;
    EXPECT_EQ(error_of([&] { open_run(folder / "absent"); }),
              "no run at " + (folder / "absent").string() +
                  ": there is no such folder; make one with: tomograph capture");
}

// A file of columns that another run's description speaks of.
TEST(BadColumns, AreNotTakenForTheRunsOwn) {
    const auto error_with = [](std::vector<std::int32_t> entries, const std::function<void(Json&)>& edit) {
        const TempFolder folder;
        RunSketch sketch;
        sketch.columns = {{"role", {"user", "assistant"}}};
        sketch.entries = {std::move(entries)};
        sketch.edit = edit;
        sketch.write(folder / "run");
        return error_of([&] { open_run(folder / "run"); });
    };
    const std::vector<std::int32_t> fine(13, 1);
    EXPECT_EQ(error_with(fine, [](Json&) {}), "");
    EXPECT_NE(error_with(fine, [](Json& json) { json["columns"][0]["words"] = {"user"}; })
                  .find("its column 'role' is not one that run.json knows"),
              std::string::npos);
    EXPECT_NE(error_with(fine, [](Json& json) { json["columns"][0]["name"] = "position"; })
                  .find("'position' names no further column"),
              std::string::npos);
    EXPECT_NE(error_with(fine, [](Json& json) { json["columns"].push_back(json["columns"][0]); })
                  .find("'role' names no further column"),
              std::string::npos);
    EXPECT_NE(error_with(fine, [](Json& json) { json["columns"][0]["name"] = "turn"; }), "");
    EXPECT_EQ(error_with(fine, [](Json& json) { json.erase("columns"); }), "");  // as older readers do
}

TEST(NoRun, IsAFile) {
    const TempFolder folder;
    folder.write("file", "text");
    EXPECT_EQ(error_of([&] { open_run(folder / "file"); }),
              "no run at " + (folder / "file").string() +
                  ": it is a file, and a run is a folder; make one with: tomograph capture");
    folder.write("model.gguf", "GGUF");
    const std::string model = (folder / "model.gguf").string();
    EXPECT_EQ(error_of([&] { open_run(model); }),
              "no run at " + model + ": it is a model; let it read something: tomograph capture " + model +
                  " --text FILE --out RUN");
}

TEST(NoRun, IsAFolderOfOtherThings) {
    const TempFolder folder;
    EXPECT_EQ(
        error_of([&] { open_run(folder.path()); }),
        "no run at " + folder.path().string() + ": it has no run.json; make one with: tomograph capture");
}

TEST(NoRun, IsAStudy) {
    const TempFolder folder;
    folder.write("study.json", "{}");
    EXPECT_EQ(error_of([&] { open_run(folder.path()); }),
              folder.path().string() + " is a study, a folder of runs; name one of its runs, for example " +
                  (folder / "text").string());
}

TEST(NoRun, IsFromANewerVersion) {
    const TempFolder folder;
    folder.write("run.json", R"({"format": 99, "whatever": []})");
    EXPECT_EQ(error_of([&] { open_run(folder.path()); }),
              folder.path().string() +
                  " was written by a newer tomograph: format 99, known is 2; update tomograph");
}

/// As version 0.1.0 wrote it.
TEST(NoRun, IsOfTheFirstFormat) {
    const fs::path run = fs::path(TOMOGRAPH_TEST_DATA) / "runs/format-1";
    EXPECT_EQ(
        error_of([&] { open_run(run); }),
        run.string() +
            " is a run of an earlier tomograph: format 1, known is 2; capture it again, or read it with the "
            "version that wrote it");
}

TEST(NoRun, HasAnEmptyDescription) {
    const TempFolder folder;
    folder.write("run.json", "");
    EXPECT_TRUE(error_of([&] {
                    open_run(folder.path());
                }).starts_with((folder / "run.json").string() + " is not valid JSON: "));
}

TEST(NoRun, HasACutDescription) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    const std::string text = read_file(folder / "run/run.json");
    folder.write("run/run.json", text.substr(0, text.size() / 2));
    const std::string error = error_of([&] { open_run(folder / "run"); });
    EXPECT_TRUE(error.ends_with("; the file was cut or edited; make it again")) << error;
}

/// A change of run.json and what is then said of it, after its path.
struct Change {
    const char* name;
    std::function<void(Json&)> edit;
    std::string why;
};
void PrintTo(const Change& change, std::ostream* out) {
    *out << change.name;
}

class BrokenDescription : public testing::TestWithParam<Change> {};
INSTANTIATE_TEST_SUITE_P(
    Run, BrokenDescription,
    testing::Values(Change{"Array", [](Json& run) { run = Json::array(); }, ""},
                    Change{"NoFormat", [](Json& run) { run.erase("format"); }, ""},
                    Change{"WordForAFormat", [](Json& run) { run["format"] = "one"; }, ""},
                    Change{"NoModel", [](Json& run) { run.erase("model"); }, ""},
                    Change{"WordForAWidth", [](Json& run) { run["model"]["d_model"] = "wide"; }, ""},
                    Change{"NoPrompts", [](Json& run) { run.erase("prompts"); }, ""},
                    Change{"NoLength", [](Json& run) { run["prompts"].erase("length"); }, ""},
                    Change{"NoSites", [](Json& run) { run.erase("sites"); }, ""},
                    Change{"NumbersForSites",
                           [](Json& run) {
                               run["sites"] = {1, 2};
                           },
                           ""},
                    Change{"WordForAShape", [](Json& run) { run["sites"][0]["shape"] = "flat"; }, ""},
                    Change{"NumberForLabels", [](Json& run) { run["labels"] = 3; }, ""},
                    Change{"NoShards", [](Json& run) { run.erase("shards"); }, ""},
                    Change{"NumberForAShard", [](Json& run) { run["shards"][0] = 5; }, ""}),
    [](const auto& test) { return test.param.name; });

TEST_P(BrokenDescription, IsRefused) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.edit = GetParam().edit;
    sketch.write(folder / "run");
    const std::string error = error_of([&] { open_run(folder / "run"); });
    EXPECT_TRUE(error.starts_with((folder / "run/run.json").string() + " is not a run's description: "))
        << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

class HostileDescription : public testing::TestWithParam<Change> {};
INSTANTIATE_TEST_SUITE_P(
    Run, HostileDescription,
    testing::Values(
        Change{"NoSite", [](Json& run) { run["sites"] = Json::array(); }, "it lists no sites"},
        Change{"LayerPastTheLast", [](Json& run) { run["model"]["n_layers"] = 2; },
               "it lists blocks.2.z, the model has 2 layers"},
        Change{"NegativeWidth", [](Json& run) { run["sites"][0]["shape"] = {-6}; },
               "embed has the shape [-6]"},
        Change{"WidthThatWraps",
               [](Json& run) {
                   run["sites"][0]["shape"] = {std::int64_t{1} << 62, std::int64_t{1} << 62};
               },
               "embed has the shape [4611686018427387904, 4611686018427387904]"},
        Change{"NoWidth", [](Json& run) { run["sites"][0]["shape"] = {0}; }, "embed has the shape [0]"},
        Change{"AbsurdLength", [](Json& run) { run["prompts"]["length"] = std::int64_t{1} << 31; },
               "its length is 2147483648"},
        Change{"NegativeLength", [](Json& run) { run["prompts"]["length"] = -1; }, "its length is -1"},
        Change{"AbsurdSequences", [](Json& run) { run["prompts"]["sequences"] = 1e18; },
               "number of sequences must be a whole number that fits"},
        Change{"AbsurdLayers", [](Json& run) { run["model"]["n_layers"] = 2'000'000'000; },
               "its n_layers is 2000000000"},
        Change{"SumOfNothing", [](Json& run) { run["sites"][0]["sum_of"] = {"blocks.9.z"}; },
               "embed is no sum of blocks.9.z"},
        Change{"SumOfItself",
               [](Json& run) {
                   run["sites"][0]["vectors"] = false;
                   run["sites"][0]["sum_of"] = {"embed"};
               },
               "embed is no sum of embed"},
        Change{"SumOfWhatIsNarrower",
               [](Json& run) {
                   run["sites"][0]["vectors"] = false;
                   run["sites"][0]["shape"] = {7};
                   run["sites"][0]["sum_of"] = {"blocks.2.z"};
               },
               "embed is no sum of blocks.2.z"},
        Change{"AbsurdWidth", [](Json& run) { run["model"]["d_model"] = std::int64_t{1} << 40; },
               "its d_model is 1099511627776"},
        Change{"LabelsThatCannotBeToldApart",
               [](Json& run) {
                   for (int i = 0; i < 32'768; ++i) run["labels"].push_back(std::to_string(i));
               },
               "it has 32768 labels, at most 32767 can be told apart"}),
    [](const auto& test) { return test.param.name; });

TEST_P(HostileDescription, IsRefused) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.edit = GetParam().edit;
    sketch.write(folder / "run");
    // What is no whole number is told where the JSON is read.
    const std::string what = std::string_view(GetParam().why).starts_with("number of")
                                 ? " is not a run's description: "
                                 : " does not fit its run: ";
    EXPECT_EQ(error_of([&] { open_run(folder / "run"); }),
              (folder / "run/run.json").string() + what + GetParam().why + "; capture it again");
}

class HostileTokens : public testing::TestWithParam<Change> {};
INSTANTIATE_TEST_SUITE_P(
    Run, HostileTokens,
    testing::Values(Change{"PositionPastTheLength", [](Json& run) { run["prompts"]["length"] = 4; },
                           "its position 4 is not one that run.json knows"},
                    Change{"LengthThatNoSequenceHas", [](Json& run) { run["prompts"]["length"] = 1'000'000; },
                           "its longest sequence has 5 tokens, run.json says 1000000"},
                    Change{"SequencesThatAreNotThere", [](Json& run) { run["prompts"]["sequences"] = 4; },
                           "it has 3 sequences, run.json says 4"},
                    Change{"SequencePastTheLast", [](Json& run) { run["prompts"]["sequences"] = 2; },
                           "its sequence 2 is not one that run.json knows"},
                    Change{"LabelPastTheLast", [](Json& run) { run["labels"] = {"question"}; },
                           "its label 1 is not one that run.json knows"}),
    [](const auto& test) { return test.param.name; });

TEST_P(HostileTokens, AreRefused) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.labels = {"question", "context"};
    sketch.token_labels = {0, 1};
    sketch.edit = GetParam().edit;
    sketch.write(folder / "run");
    EXPECT_EQ(error_of([&] { open_run(folder / "run"); }), (folder / "run/tokens.safetensors").string() +
                                                               " does not fit its run: " + GetParam().why +
                                                               "; capture it again");
}

TEST(BrokenRun, HasAnUnknownSite) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.edit = [](Json& run) { run["sites"][0]["name"] = "blocks.0.soul"; };
    sketch.write(folder / "run");
    EXPECT_EQ(error_of([&] { open_run(folder / "run"); }),
              "unknown site \"blocks.0.soul\" in " + (folder / "run").string() + "; update tomograph");
}

TEST(BrokenRun, HasTokensOfDifferentNumbers) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    const std::vector<std::int32_t> values(13, 0);
    std::vector<TensorData> tensors;
    for (const TokenColumn& column : kTokenColumns)
        tensors.push_back(
            {{column.name, Dtype::i32, {column.name == std::string("position") ? 2 : 13}}, values.data()});
    write_safetensors(folder / "run/tokens.safetensors", tensors);
    EXPECT_EQ(error_of([&] { open_run(folder / "run"); }),
              (folder / "run/tokens.safetensors").string() +
                  " does not fit its run: 'position' has 2 entries, 'token_id' has 13; capture it again");
}

TEST(BrokenRun, LacksItsTokens) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    fs::remove(folder / "run/tokens.safetensors");
    EXPECT_EQ(error_of([&] { open_run(folder / "run"); }),
              "cannot open " + (folder / "run/tokens.safetensors").string() + ": No such file or directory");
}

TEST(BrokenRun, LacksAShard) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    fs::remove(folder / "run/shards/000001.safetensors");
    EXPECT_EQ(
        error_of([&] { open_run(folder / "run"); }),
        "cannot open " + (folder / "run/shards/000001.safetensors").string() + ": No such file or directory");
}

TEST(BrokenRun, HasACutShard) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    const fs::path shard = folder / "run/shards/000001.safetensors";
    const auto size = fs::file_size(shard);
    fs::resize_file(shard, size - 1);
    EXPECT_EQ(error_of([&] { open_run(folder / "run"); }),
              shard.string() + " was cut or damaged: it has " + std::to_string(size - 1) + " bytes, " +
                  std::to_string(size) + " were written; capture again with --resume");
}

TEST(BrokenRun, HasAShardWithoutASite) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.sites[0].stored = false;
    sketch.edit = [](Json& run) { run["sites"][0]["vectors"] = true; };
    sketch.write(folder / "run");
    Vector row(6);
    EXPECT_EQ(error_of([&] { open_run(folder / "run").read_rows(kEmbedSite, 0, 1, row.data()); }),
              "no tensor 'embed' in " + (folder / "run/shards/000000.safetensors").string());
}

TEST(BrokenRun, HasAShardOfAnotherShape) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.edit = [](Json& run) { run["sites"][0]["shape"] = {7}; };
    sketch.write(folder / "run");
    Vector row(7);
    EXPECT_EQ(error_of([&] { open_run(folder / "run").read_rows(kEmbedSite, 0, 1, row.data()); }),
              (folder / "run/shards/000000.safetensors").string() +
                  " does not fit its run: embed has another shape than run.json says; capture it again");
}

/// Tokens whose column `row` is as given.
void write_rows(const fs::path& run, std::vector<std::int32_t> rows) {
    const Safetensors was(run / "tokens.safetensors");
    std::vector<std::vector<std::int32_t>> values;
    std::vector<TensorData> tensors;
    for (const TokenColumn& column : kTokenColumns)
        values.push_back(column.name == std::string("row") ? rows : was.integers(column.name));
    for (std::size_t i = 0; i < values.size(); ++i)
        tensors.push_back({{kTokenColumns[i].name, Dtype::i32, {static_cast<std::int64_t>(values[i].size())}},
                           values[i].data()});
    write_safetensors(run / "tokens.safetensors", tensors);
}

TEST(BrokenRun, HasRowsOutOfOrder) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    write_rows(folder / "run", {0, 1, 2, 3, 4, 6, 5, 7, 8, 9, 10, 11, 12});
    EXPECT_EQ(error_of([&] { open_run(folder / "run"); }),
              (folder / "run/tokens.safetensors").string() +
                  " does not fit its run: row 6 stands where row 5 should; capture it again");
}

TEST(BrokenRun, HasFewerRowsThanItsShardsSay) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    write_rows(folder / "run", {0, 1, 2, -1, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    EXPECT_EQ(error_of([&] { open_run(folder / "run"); }),
              (folder / "run/shards/000000.json").string() +
                  " does not fit its run: it says 4 rows, its tokens have 3; capture it again");
}

TEST(BrokenRun, HasNormsOfAnotherNumber) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    const std::vector<float> values(5);
    write_safetensors(folder / "run/stats/norms.safetensors", {{{"embed", Dtype::f32, {5}}, values.data()}});
    EXPECT_EQ(error_of([&] { open_run(folder / "run").norms(kEmbedSite); }),
              (folder / "run/stats/norms.safetensors").string() +
                  " does not fit its run: embed has not one norm a token; capture it again");
}

class BrokenPieces : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Run, BrokenPieces,
                         testing::Values("{", "7", "{}", R"({"pieces": [["x"]]})",
                                         R"({"pieces": [[1.5, null]]})"));

TEST_P(BrokenPieces, AreCalledDamaged) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    folder.write("run/tokens.jsonl", GetParam());
    const std::string error = error_of([&] { open_run(folder / "run").pieces(); });
    EXPECT_TRUE(error.starts_with((folder / "run/tokens.jsonl").string() + " is damaged: ")) << error;
}

TEST(BrokenRun, StillHasATokenTableWithTooFewPieces) {
    const TempFolder folder;
    RunSketch().write(folder / "run");
    folder.write("run/tokens.jsonl", R"({"pieces": ["a"]})");
    EXPECT_EQ(open_run(folder / "run").pieces().size(), 13u);
}

// What a folder is
// -------------------------------------------------------------------------------------------------------------

TEST(KindOfFolder, IsNoneWhereNothingIs) {
    const TempFolder folder;
    EXPECT_EQ(folder_kind(folder / "absent"), FolderKind::none);
}
TEST(KindOfFolder, IsNoneWhenEmpty) {
    const TempFolder folder;
    EXPECT_EQ(folder_kind(folder.path()), FolderKind::none);
}
TEST(KindOfFolder, IsARun) {
    const TempFolder folder;
    folder.write("run.json", "");
    EXPECT_EQ(folder_kind(folder.path()), FolderKind::run);
}
TEST(KindOfFolder, IsARunByItsPlanAlone) {
    const TempFolder folder;
    folder.write("plan.json", "");
    EXPECT_EQ(folder_kind(folder.path()), FolderKind::run);
}
TEST(KindOfFolder, IsNoneWhereAWriterWasKilledBeforeItBegan) {
    const TempFolder folder;
    folder.write("tokens.safetensors.12-0.tmp", "");
    EXPECT_EQ(folder_kind(folder.path()), FolderKind::none);
}
TEST(KindOfFolder, IsAStudy) {
    const TempFolder folder;
    folder.write("study.json", "");
    EXPECT_EQ(folder_kind(folder.path()), FolderKind::study);
}
TEST(KindOfFolder, IsOtherWithOtherFiles) {
    const TempFolder folder;
    folder.write("thesis.tex", "");
    EXPECT_EQ(folder_kind(folder.path()), FolderKind::other);
}
TEST(KindOfFolder, IsOtherForAFile) {
    const TempFolder folder;
    folder.write("thesis.tex", "");
    EXPECT_EQ(folder_kind(folder / "thesis.tex"), FolderKind::other);
}

}  // namespace
}  // namespace tomograph
