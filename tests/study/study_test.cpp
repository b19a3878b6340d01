#include "tomograph/study/study.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "study/study_support.h"
#include "support/errors.h"
#include "support/golden.h"
#include "support/open_run.h"
#include "support/temp_folder.h"
#include "tomograph/base/error.h"
#include "tomograph/base/json.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

struct AlwaysStop final : Progress {
    bool stop_requested() const override { return true; }
};

TEST(Study, LeavesNothingWithoutGnuplot) {
    const TempFolder folder;
    ::setenv("TOMOGRAPH_GNUPLOT", "/absent", 1);
    const std::string error = error_of([&] {
        make_study(Model::open(golden_model("llama")), folder / "study", small_study(2), no_progress());
    });
    ::unsetenv("TOMOGRAPH_GNUPLOT");
    EXPECT_NE(error.find("gnuplot"), std::string::npos) << error;
    EXPECT_EQ(folder.n_files(), 0u);
}

TEST(Study, LeavesNothingWhenItIsStoppedAtOnce) {
    const TempFolder folder;
    AlwaysStop progress;
    EXPECT_THROW(make_study(Model::open(golden_model("llama")), folder / "study", small_study(2), progress),
                 Stopped);
    EXPECT_EQ(folder.n_files(), 0u);
}

TEST(Study, LeavesNothingWhenItsTextIsMissing) {
    const TempFolder folder;
    StudyOptions options = small_study(2);
    options.text = {folder / "absent"};
    EXPECT_NE(error_of([&] {
                  make_study(Model::open(golden_model("llama")), folder / "study", options, no_progress());
              }),
              "");
    EXPECT_EQ(folder.n_files(), 0u);
}

TEST(Study, RefusesAFolderThatExists) {
    const TempFolder folder;
    fs::create_directory(folder / "study");
    folder.write("study/study.json", "{}");
    EXPECT_EQ(error_of([&] {
                  make_study(Model::open(golden_model("llama")), folder / "study", small_study(2),
                             no_progress());
              }),
              (folder / "study").string() + " exists; use --force to replace it, or name another --out");
}

// A mixture of experts with rotary positions: no position table, some figures less.
TEST(LongStudy, IsWholeForARotaryModel) {
    const TempFolder folder;
    StudyOptions options = small_study(2);
    options.sequences = 9;
    const StudySummary summary =
        make_study(Model::open(golden_model("mixtral")), folder / "study", options, no_progress());
    const Json study = read_json(folder / "study/study.json");
    EXPECT_EQ(study.at("status"), "complete");
    EXPECT_EQ(open_run(folder / "study/positions").labels(),
              (std::vector<std::string>{"random tokens", "mean embedding"}));
    EXPECT_EQ(open_run(folder / "study/text").n_sequences(), 9);
    EXPECT_EQ(open_run(folder / "study/twin-1").n_sequences(), 8) << "twins read the beginning";
    EXPECT_EQ(open_run(folder / "study/twin-1").n_rows(), 0) << "they are measured, and let go";
    const tomograph::Run text = open_run(folder / "study/text"), repeat = open_run(folder / "study/repeat");
    EXPECT_TRUE(text.has_vectors({Component::resid_mid, 0}) &&
                text.sum_of({Component::resid_mid, 0}).empty());
    EXPECT_TRUE(text.has_vectors({Component::resid_mid, 1}) &&
                text.sum_of({Component::resid_mid, 1}).size() == 2);
    EXPECT_TRUE(text.has_site({Component::ln2, 0}) && !text.has_vectors({Component::ln2, 0}));
    EXPECT_FALSE(repeat.has_vectors({Component::attn_out, 1}));
    ASSERT_GT(summary.figures.size(), 10u);
    for (const Figure& figure : summary.figures) {
        EXPECT_FALSE(figure.group.empty());
        if (figure.file.empty()) continue;
        EXPECT_GT(fs::file_size(folder / "study" / figure.file), 1000u) << figure.file;
    }
    for (const char* number : {"first_token_norm_ratio", "variance_explained_2", "attention_mlp_cosine"})
        EXPECT_TRUE(summary.numbers.contains(number)) << number;
    EXPECT_TRUE(summary.failed.empty());
    for (const Finding& finding : summary.measures.findings) {
        if (finding.name != "answer_depth") continue;
        EXPECT_NE(finding.verdict, Verdict::not_measurable) << finding.reason;
        EXPECT_FALSE(finding.twins.empty()) << "the twins have a lens, too";
        EXPECT_EQ(finding.figure, "figures/lens-kl-by-layer.png");
    }
    // The stream after each addition, in the network's order and in others.
    for (const char* way : {"layerwise", "layerwise_rest"}) {
        EXPECT_GT(summary.numbers.at(way).at("way_over_shuffled").get<double>(), 0);
        EXPECT_GE(summary.numbers.at(way).at("p").get<double>(), 0.001);
    }
    for (const char* figure :
         {"layerwise-2d", "layerwise-rest-2d", "positions-pooled-raw", "norm-by-layer-in-between"})
        EXPECT_TRUE(fs::exists(folder / ("study/figures/" + std::string(figure) + ".png"))) << figure;
}

// A learned table: the repeated token is held against it.
TEST(LongStudy, HoldsTheRepeatedTokenAgainstALearnedTable) {
    const TempFolder folder;
    StudyOptions options = small_study(9);
    options.length = 64;
    options.parts = {StudyPart::repeat, StudyPart::positions};
    const StudySummary summary =
        make_study(Model::open("bytes-gpt2"), folder / "study", options, no_progress());
    EXPECT_TRUE(summary.failed.empty());
    for (const Finding& finding : summary.measures.findings) {
        if (finding.name != "position_helix") continue;
        const Json& inside = finding.detail.at("repeat_in_table");
        ASSERT_FALSE(inside.at("layers").empty());
        const Json& first = inside.at("layers")[0];
        EXPECT_EQ(first.at("layer"), 0);
        // More of what tells apart the positions of one token is the table's than of what tells those of a
        // text apart.
        EXPECT_GT(first.at("share").get<double>(), first.at("text").get<double>());
        EXPECT_LT(first.at("random").get<double>(), 1);
        EXPECT_GE(first.at("p").get<double>(), 0.005);
    }
    EXPECT_TRUE(fs::exists(folder / "study/figures/repeat-in-table-by-layer.png"));
}

}  // namespace
}  // namespace tomograph
