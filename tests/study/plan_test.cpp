#include "tomograph/study/plan.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "study/study_support.h"
#include "support/golden.h"
#include "support/open_run.h"
#include "support/start_token.h"
#include "support/temp_folder.h"
#include "tomograph/study/lens_plan.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

std::vector<std::string> names(const StudyPlan& plan) {
    std::vector<std::string> all;
    for (const PlannedRun& run : plan.runs) all.push_back(run.name);
    return all;
}

std::int64_t size_of(const fs::path& folder) {
    std::int64_t bytes = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.path().extension() == ".safetensors") bytes += static_cast<std::int64_t>(entry.file_size());
    return bytes;
}

TEST(StudyPlan, OfASmallTextIsSmall) {
    const Model model = Model::open("bytes-gpt2");
    const StudyPlan plan = plan_study(model, small_study(9), no_progress());
    EXPECT_EQ(names(plan), (std::vector<std::string>{"text", "repeat", "vocabulary", "positions", "twin-1",
                                                     "twin-spectrum"}));
    EXPECT_TRUE(plan.notes.empty());
    EXPECT_EQ(plan.runs[0].n_tokens, 9 * 16);
    EXPECT_EQ(plan.runs[1].n_tokens, 16);
    EXPECT_EQ(plan.runs[2].prompts.sequences.size(), 256u) << "all that there are, below the fewest";
    EXPECT_EQ(plan.runs[4].n_tokens, 8 * 16) << "twins read the beginning";
    EXPECT_GT(measure_rate(model, plan, small_study(9), no_progress()), 1);
}

TEST(StudyPlan, KeepsAllVectorsOnRequest) {
    const Model model = Model::open("bytes-gpt2");
    StudyOptions options = small_study(9);
    const StudyPlan some = plan_study(model, options, no_progress());
    options.all_vectors = true;
    const StudyPlan all = plan_study(model, options, no_progress());
    EXPECT_EQ(names(all), names(some));
    EXPECT_EQ(all.n_tokens(), some.n_tokens());
    for (std::size_t i = 0; i < all.runs.size(); ++i) {
        const PlannedRun &one = all.runs[i], &other = some.runs[i];
        // Where not every token's vectors are kept, a learned table has its sums beside them.
        if (!other.capturing.keep.means) {
            EXPECT_GE(one.bytes, other.bytes) << one.name;
        }
        EXPECT_FALSE(one.let_go);
        EXPECT_EQ(other.let_go, other.twin.has_value()) << one.name;
    }
    EXPECT_TRUE(all.runs[0].capturing.vector_components.empty());
    EXPECT_GT(static_cast<double>(all.bytes()), 1.5 * static_cast<double>(some.bytes()));
}

TEST(StudyPlan, LeavesPartsOut) {
    StudyOptions options = small_study(9);
    options.parts = {StudyPart::positions};
    EXPECT_EQ(names(plan_study(Model::open("bytes-gpt2"), options, no_progress())),
              (std::vector<std::string>{"text", "positions"}));
    options.parts = {StudyPart::vocabulary};
    options.vocabulary_rows = 30;
    EXPECT_EQ(plan_study(Model::open("bytes-gpt2"), options, no_progress()).runs[1].prompts.sequences.size(),
              30u);
}

// A start token gives two more runs: the vocabulary the other way, and the text with one inside.
TEST(StudyPlan, OfAModelWithAStartTokenHasTwoMore) {
    const TempFolder folder;
    for (const bool adds : {true, false}) {
        const Model model = Model::open(with_start_token(folder, "llama", 7, adds).string());
        const StudyPlan plan = plan_study(model, small_study(9), no_progress());
        const std::string other = adds ? "vocabulary-alone" : "vocabulary-start";
        EXPECT_EQ(names(plan), (std::vector<std::string>{"text", "repeat", "vocabulary", other, "positions",
                                                         "planted", "twin-1", "twin-spectrum"}));
        EXPECT_EQ(plan.runs[2].prompts.sequences[3].length(), adds ? 2 : 1);
        EXPECT_EQ(plan.runs[3].prompts.sequences[3].length(), adds ? 1 : 2);
        EXPECT_EQ(plan.runs[2].prompts.sequences[3].tokens.back(),
                  plan.runs[3].prompts.sequences[3].tokens.back());
        EXPECT_EQ(plan.runs[5].prompts.sequences[0].tokens[8], 7);
        EXPECT_EQ(plan.runs[5].prompts.sequences.size(), 8u);
    }
}

TEST(StudyPlan, LensesAreOfWhatIsCheap) {
    const StudyPlan plan = plan_study(Model::open("bytes-gpt2"), small_study(9), no_progress());
    ASSERT_TRUE(plan.runs[0].lens);
    EXPECT_EQ(plan.runs[0].lens->rows, 512);
    EXPECT_EQ(plan.runs[0].lens->beside.size(), 2u);
    EXPECT_TRUE(plan.runs[4].lens && plan.runs[5].lens) << "both twins";
    EXPECT_FALSE(plan.runs[1].lens);
    StudyOptions options = small_study(9);
    options.parts = {StudyPart::twins};
    for (const PlannedRun& run : plan_study(Model::open("bytes-gpt2"), options, no_progress()).runs)
        EXPECT_FALSE(run.lens) << run.name;

    ModelInfo info{.d_model = 576, .n_layers = 30, .n_vocab = 49152};
    const LensPlan small = plan_lens(info, 16'384, 6);
    ASSERT_TRUE(small.text);
    EXPECT_TRUE(small.text->beside.empty()) << "the stream only";
    EXPECT_GE(small.n_twins, 1);
    EXPECT_LT(small.n_twins, 6);
    EXPECT_EQ(plan_lens(info, 16'384, 0).n_twins, 0);
    info = {.d_model = 4096, .n_layers = 32, .n_vocab = 32'000};
    EXPECT_FALSE(plan_lens(info, 16'384, 6).text) << "seven thousand million parameters";
}

TEST(StudyPlan, SaysBeforeThatSequencesAreTooFew) {
    StudyOptions options = small_study(9);
    options.sequences = 4;
    const auto notes = plan_study(Model::open("bytes-gpt2"), options, no_progress()).notes;
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_TRUE(notes[0].starts_with("4 sequences are too few for an interval")) << notes[0];
    EXPECT_TRUE(notes[0].ends_with("undecided: 5 are needed")) << notes[0];
}

TEST(StudyPlan, SaysHowAShortTextMakesEnoughSequences) {
    const TempFolder folder;
    folder.write("own.txt", std::string(103, 'a'));
    StudyOptions options = small_study(9);
    options.text = {folder / "own.txt"};
    options.length = 512;
    const Model model = Model::open("bytes-llama");
    const auto notes = plan_study(model, options, no_progress()).notes;
    ASSERT_FALSE(notes.empty());
    EXPECT_TRUE(notes.back().starts_with("1 sequence is too few")) << notes.back();
    EXPECT_TRUE(notes.back().ends_with("5 are needed; --length 20 makes as many of this text"))
        << notes.back();
    options.length = 20;
    EXPECT_EQ(plan_study(model, options, no_progress()).runs[0].prompts.sequences.size(), 5u);
}

TEST(StudyPlan, ReadsNoMoreRandomTokensThanText) {
    const Model model = Model::open("bytes-llama");
    StudyOptions options = small_study(3);
    options.parts = {StudyPart::positions};
    const auto sequences = [&] {
        return plan_study(model, options, no_progress()).runs[1].prompts.sequences.size();
    };
    EXPECT_EQ(sequences(), 8u + 1) << "and the mean embedding's";
    options.sequences = 20;
    EXPECT_EQ(sequences(), 20u + 1);
    options.sequences = 100;
    EXPECT_EQ(sequences(), 32u + 1);
}

TEST(StudyPlan, KnowsWhatItWillTakeOnDisk) {
    const TempFolder folder;
    const Model model = Model::open("bytes-gpt2");
    StudyOptions options = small_study(9);
    options.parts = {StudyPart::repeat, StudyPart::vocabulary};
    std::int64_t planned = 0;
    options.planned = [&](const StudyPlan& plan) { planned = plan.bytes(); };
    const StudySummary summary = make_study(model, folder / "study", options, no_progress());
    EXPECT_EQ(summary.runs, (std::vector<std::string>{"text", "repeat", "vocabulary"}));
    EXPECT_TRUE(summary.failed.empty());
    std::int64_t written = 0;
    for (const std::string& run : summary.runs)
        written +=
            size_of(folder / ("study/" + run + "/shards")) + size_of(folder / ("study/" + run + "/stats"));
    EXPECT_NEAR(static_cast<double>(planned), static_cast<double>(written),
                0.05 * static_cast<double>(written));
    EXPECT_FALSE(fs::exists(folder / "study/positions"));
}

}  // namespace
}  // namespace tomograph
