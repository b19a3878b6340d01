#include "tomograph/store/let_go.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/store/token_numbers.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

TEST(LetGoOfVectors, LeavesWhatARunOfNormsHas) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.scores = {"logprob"};
    sketch.columns = {LabelColumn{.name = "turn", .words = {}}};
    sketch.entries = {std::vector<std::int32_t>(static_cast<std::size_t>(sketch.n_tokens()), 3)};
    sketch.write(folder / "run");
    std::vector<std::vector<float>> norms;
    std::vector<std::string> pieces;
    {
        const auto run = open_run(folder / "run");
        for (const SiteShape& shape : run.sites()) norms.push_back(run.norms(shape.site));
        pieces = run.pieces();
        save_token_numbers(run, "depth", std::vector<float>(norms[0].size(), 2));
    }
    fs::create_directories(folder / "run/projections");
    fs::create_directories(folder / "run/measures");
    folder.write("run/measures/effects.json", "{}");
    folder.write("run/projections/p.json", "{}");

    let_go_of_vectors(folder / "run");
    const auto run = open_run(folder / "run");
    EXPECT_TRUE(run.complete());
    EXPECT_EQ(run.n_rows(), 0);
    EXPECT_EQ(run.json().at("capture").at("let_go"), true);
    ASSERT_EQ(run.sites().size(), norms.size());
    for (std::size_t i = 0; i < norms.size(); ++i) {
        EXPECT_FALSE(run.has_vectors(run.sites()[i].site));
        EXPECT_FALSE(run.has_means(run.sites()[i].site));
        EXPECT_EQ(run.norms(run.sites()[i].site), norms[i]);
    }
    EXPECT_EQ(run.scores(), (std::vector<std::string>{"logprob", "depth"}));
    EXPECT_EQ(run.score("logprob")[2], 2);
    EXPECT_EQ(run.score("depth")[2], 2);
    EXPECT_EQ(run.tokens().further[0][5], 3);
    EXPECT_EQ(run.pieces(), pieces);
    EXPECT_FALSE(fs::exists(folder / "run/shards/000000.safetensors"));
    EXPECT_TRUE(fs::exists(folder / "run/measures/effects.json"));
    EXPECT_FALSE(fs::exists(folder / "run/projections")) << "points of vectors that are gone";
    EXPECT_FALSE(fs::exists(folder / "run.partial"));
    EXPECT_TRUE(verify_run(folder / "run", no_progress()).faults.empty());

    // The manifests alone say the same.
    fs::remove(folder / "run/run.json");
    EXPECT_EQ(open_run(folder / "run").norms(run.sites()[0].site), norms[0]);
    let_go_of_vectors(folder / "run");
    EXPECT_EQ(open_run(folder / "run").norms(run.sites()[0].site), norms[0]) << "twice is once";
}

TEST(LetGoOfVectors, SaysHowAStudyKeepsThem) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.vectors = false;
    fs::create_directory(folder / "study");
    folder.write("study/study.json", "{}");
    for (const char* place : {"run", "study/text"}) {
        sketch.write(folder / place);
        for (const char* end : {"", "/"}) {
            EXPECT_EQ(way_to_vectors(open_run((folder / place).string() + end), "capture again"),
                      std::string_view(place).starts_with("study") ? "make the study again with --all-vectors"
                                                                   : "capture again")
                << place << end;
        }
    }
}

TEST(LetGoOfVectors, WaitsForTheWholeRun) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.whole_shards = 2;
    sketch.write(folder / "run");
    EXPECT_NE(error_of([&] { let_go_of_vectors(folder / "run"); }).find("is incomplete"), std::string::npos);
    EXPECT_EQ(open_run(folder / "run").n_rows(), 8);
}

}  // namespace
}  // namespace tomograph
