#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <tuple>

#include "served_run.h"
#include "support/errors.h"
#include "tomograph/live/live_model.h"
#include "tomograph/model/quantize.h"
#include "tomograph/serve/place.h"

namespace tomograph {
namespace {

using namespace test;

/// The model of the served run, opened once, and that run.
class Live : public testing::Test {
  protected:
    using Run = tomograph::Run;  // and not gtest's
    static const Model& model() {
        static const Model model = Model::open("bytes-gpt2");
        return model;
    }
    LiveModel live_{model(), {}};
    Run run_ = Run::open(ServedRun::instance().path());
    TempFolder folder_;

    /// What the run has read as a sequence.
    static std::string text_of(const Run& run, std::int32_t sequence) {
        std::string text;
        for (std::size_t t = 0; t < run.pieces().size(); ++t)
            if (run.tokens().sequence[t] == sequence) text += run.pieces()[t];
        return text;
    }
    Run read(LiveModel& live, const LivePrompt& prompt, const Run& like, const char* name = "prompt") {
        live.read(prompt, like, folder_ / name, no_progress());
        return Run::open(folder_ / name);
    }
    /// Rows of `placed` against the map's own rows of a sequence: the largest distance, over the spread.
    static double apart(const Projection& placed, const Projection& map, std::int32_t sequence) {
        std::map<std::tuple<Component, std::int32_t, std::int32_t>, Eigen::Index> at;
        for (std::size_t i = 0; i < map.labels.token.size(); ++i)
            if (map.labels.sequence[i] == sequence)
                at[{map.labels.component[i], map.labels.layer[i], map.labels.position[i]}] =
                    static_cast<Eigen::Index>(i);
        const double spread = map.points.cwiseAbs().maxCoeff();
        double most = 0;
        EXPECT_EQ(at.size(), placed.labels.token.size());
        for (std::size_t i = 0; i < placed.labels.token.size(); ++i) {
            const auto own =
                at.at({placed.labels.component[i], placed.labels.layer[i], placed.labels.position[i]});
            const auto row = static_cast<Eigen::Index>(i);
            most = std::max(most, double{(placed.points.row(row) - map.points.row(own)).norm()} / spread);
        }
        return most;
    }
};

TEST_F(Live, TextThatTheRunHasReadFallsOnItsOwnPoints) {
    const Run prompt = read(live_, {.text = text_of(run_, 2)}, run_);
    const Projection map = load_projection(run_, "pair");
    const Placed placed = Placer(1000, 0).place(prompt, run_, map, "pair");
    EXPECT_TRUE(placed.notes.empty());
    EXPECT_LT(apart(placed.projection, map, 2), 2e-3) << "float16 rounds to 5e-4";
    EXPECT_GT(apart(placed.projection, map, 1), 0.05) << "and on nothing else's";
}

TEST_F(Live, NormalisedMapsTakePromptsNormalised) {
    ProjectionOptions options{.dims = 3};
    options.selection.components = {Component::resid_post};
    options.selection.normalize = Normalize::unit;
    options.selection.layers = parse_range("1:3", "layers");
    options.selection.rows = 20;
    const Projection map = project_pca(run_, "unit", options);
    options.selection.rows = 0;
    options.basis_of = "";
    const Run prompt = read(live_, {.text = text_of(run_, 0)}, run_);
    const Placed placed = Placer(1000, 0).place(prompt, run_, map, "unit");
    ASSERT_EQ(placed.projection.points.rows(), 2 * 32) << "all tokens, though the map is a sample";
    const Selection whole = options.selection;
    const SelectedRows rows = select(run_, whole);
    Projection all{"all", transform(*map.pca, rows), rows.labels(), {}, {}};
    EXPECT_LT(apart(placed.projection, all, 0), 2e-3);
}

TEST_F(Live, UmapPutsRowsThatItHasAtTheirPlaces) {
    UmapProjectionOptions options;
    options.selection.components = {Component::mlp_out};
    options.selection.positions = parse_range("1:", "positions");
    const Projection map = project_umap(run_, "near", options);
    const Run prompt = read(live_, {.text = text_of(run_, 3)}, run_);
    Placer placer(1000, 0);
    const Placed placed = placer.place(prompt, run_, map, "near");
    ASSERT_EQ(placed.notes.size(), 2u) << "positions, and how it was placed";
    double sum = 0;
    int n = 0;
    for (std::size_t i = 0; i < placed.projection.labels.token.size(); ++i) {
        const auto& labels = placed.projection.labels;
        for (std::size_t j = 0; j < map.labels.token.size(); ++j) {
            if (map.labels.sequence[j] != 3 || map.labels.layer[j] != labels.layer[i] ||
                map.labels.position[j] != labels.position[i])
                continue;
            sum += (placed.projection.points.row(static_cast<Eigen::Index>(i)) -
                    map.points.row(static_cast<Eigen::Index>(j)))
                       .norm();
            ++n;
        }
    }
    EXPECT_EQ(n, 4 * 31);
    const double spread = (map.points.rowwise() - map.points.colwise().mean()).rowwise().norm().mean();
    EXPECT_LT(sum / n, 0.02 * spread);
    EXPECT_NE(error_of([&] { Placer(100, 0).place(prompt, run_, map, "near"); }).find("100 rows at most"),
              std::string::npos);
}

TEST_F(Live, LastLayersWordsAreTheModelsOwn) {
    const Run prompt = read(live_, {.text = "Call me Ishmael. Some years ago"}, run_);
    const auto logprob = prompt.score("logprob");
    for (const std::int64_t token : {0, 7, 20}) {
        const auto words = live_.words(prompt, token, 256);
        ASSERT_EQ(words.size(), 4u);
        double sum = 0;
        for (const LiveWord& word : words.back().words) {
            sum += word.p;
            if (word.token == prompt.tokens().token_id[static_cast<std::size_t>(token) + 1]) {
                EXPECT_NEAR(std::log(word.p), logprob[static_cast<std::size_t>(token) + 1], 0.01);
            }
        }
        EXPECT_NEAR(sum, 1, 1e-6);
        EXPECT_GE(words.back().words[0].p, words.back().words[1].p);
    }
}

TEST_F(Live, PromptOverTheLimitIsRefusedWhole) {
    LiveModel small(model(), {.most_tokens = 16});
    const std::string line = error_of([&] { read(small, {.text = std::string(17, 'a')}, run_); });
    EXPECT_EQ(line, "the prompt has 17 tokens: 16 are read at most; shorten it");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "prompt"));
    EXPECT_EQ(read(small, {.text = std::string(16, 'a')}, run_).n_tokens(), 16);
    EXPECT_EQ(LiveModel(model(), {}).most_tokens(), 128) << "the table of positions ends there";
}

TEST_F(Live, ConversationGoesThroughTheTemplate) {
    EXPECT_FALSE(live_.converses());
    const LivePrompt prompt{.text = "", .messages = {{"user", "Who?"}}};
    EXPECT_NE(error_of([&] { read(live_, prompt, run_); }).find("has no chat template"), std::string::npos);
    LiveModel chat(model(), {.most_tokens = 16,
                             .chat_template = "[{{ messages[0]['content'] }}]{% if add_generation_prompt "
                                              "%}>{% endif %}"});
    EXPECT_TRUE(chat.converses());
    const Run run = read(chat, prompt, run_);
    EXPECT_EQ(text_of(run, 0), "[Who?]>");
    EXPECT_EQ(run.labels()[static_cast<std::size_t>(run.tokens().label[1])], "user");
    const std::string line = error_of(
        [&] { read(chat, {.text = "", .messages = {{"user", std::string(14, 'a')}}}, run_, "long"); });
    EXPECT_EQ(line, "the conversation has more than 16 tokens; shorten it");
}

TEST_F(Live, AnotherModelIsRefusedAndOtherWeightsAreSaid) {
    EXPECT_EQ(live_.check(run_), "");
    const Model other = Model::open("bytes-llama");
    const std::string line = error_of([&] { (void)LiveModel(other, {}).check(run_); });
    EXPECT_NE(line.find("is not the model of run"), std::string::npos) << line;
    EXPECT_NE(line.find("architecture"), std::string::npos) << line;
    quantize("bytes-gpt2", folder_ / "coarse.gguf", "q4_0", 0);
    const Model coarse = Model::open((folder_ / "coarse.gguf").string());
    EXPECT_NE(LiveModel(coarse, {}).check(run_).find("other weights"), std::string::npos);
}

TEST_F(Live, PromptIsReadInTheMannerOfTheRun) {
    capture(model(), given_prompts(model().vocabulary(), {.prompts = {"A ship, a ship"}}), folder_ / "exact",
            {.components = {Component::mlp_out}, .dtype = Dtype::f32, .exact = true}, no_progress());
    const Run exact = Run::open(folder_ / "exact");
    const Run prompt = read(live_, {.text = "A ship, a ship"}, exact);
    std::vector<float> a(14 * 128), b(14 * 128);
    exact.read_rows({Component::mlp_out, 3}, 0, 14, a.data());
    prompt.read_rows({Component::mlp_out, 3}, 0, 14, b.data());
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5 * (1 + std::abs(a[i])));
    EXPECT_FALSE(prompt.has_site({Component::z, 0})) << "nor more than the run has";
    EXPECT_TRUE(prompt.has_vectors({Component::resid_post, 0})) << "but the stream";
}

}  // namespace
}  // namespace tomograph
