#include "tomograph/lens/lens.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/errors.h"
#include "support/golden.h"
#include "support/open_run.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/capture/capture.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/lens/head.h"
#include "tomograph/model/model.h"
#include "tomograph/model/quantize.h"
#include "tomograph/model/randomize.h"

namespace tomograph {
namespace {

using namespace test;

const LensOptions kSmall{.rows = 160, .threads = 1};

Matrix tensor(const Safetensors& file, const std::string& name) {
    Matrix values(file.at(name).n_rows(), file.at(name).width());
    file.at(name).read_rows(0, values.rows(), values.data());
    return values;
}

class HeadsOfGoldens : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Lens, HeadsOfGoldens,
                         testing::Values("gpt2", "llama", "gemma2", "cohere", "granite", "phi2"),
                         [](const auto& test) { return test.param; });

// LayerNorm with a bias, RMS norms, capped, scaled and divided logits, a bias of the vocabulary.
TEST_P(HeadsOfGoldens, AnswerAsTransformersDo) {
    const Safetensors file(TOMOGRAPH_TEST_DATA "/lens/" + GetParam() + ".safetensors");
    const Model model = Model::open(golden_model(GetParam()));
    ModelHead head(model, 1, no_progress());
    EXPECT_LE(row_error(head.from_stream(tensor(file, "stream")), tensor(file, "logits")), 2e-5)
        << "remake with tests/golden/lens/make.py";
}

class Lenses : public testing::TestWithParam<std::string> {
  protected:
    tomograph::Run capture_run(const std::string& name, const PromptSet& prompts) {
        return capture_for_lens(model_, prompts, folder_ / name, kSmall, true, Begin::fresh, "",
                                no_progress());
    }
    const TempFolder folder_;
    const Model model_ = Model::open(GetParam());
    const PromptSet prompts_ = text_prompts(model_.vocabulary(), {.sequences = 16, .length = 128});
};
INSTANTIATE_TEST_SUITE_P(Lens, Lenses, testing::Values("bytes-gpt2", "bytes-llama"),
                         [](const auto& test) { return test.param.substr(6); });

TEST_P(Lenses, LeadToTheModelsOwnAnswer) {
    const tomograph::Run run = capture_run("run", prompts_);
    const LensResult result = measure_lens(model_, run, kSmall, no_progress());
    const LensTable& table = result.table;
    EXPECT_EQ(table.n_rows(), 160);
    EXPECT_EQ(table.sequences.size(), 16u);
    EXPECT_EQ(table.series.size(), 2u * 3 * 4);
    EXPECT_LT(table.check.kl, 1e-6);
    const auto of = [&](int layer, LensKind lens) -> const LensSeries& {
        return *table.find({Component::resid_post, layer}, lens);
    };
    // With OpenBLAS's kernels for AVX2 the last bits of a product depend on where in its batch a row stands.
    EXPECT_LT(lens_mean(table, of(3, LensKind::logit).own.kl), 1e-6);
    EXPECT_EQ(lens_mean(table, of(3, LensKind::logit).own.agrees), 1);
    EXPECT_EQ(of(3, LensKind::logit).own.log_rank, table.final.log_rank);
    const double unigram = lens_mean(table, table.unigram.kl);
    double before = unigram;
    for (int layer = 0; layer < 4; ++layer) {
        const double kl = lens_mean(table, of(layer, LensKind::ridge).own.kl);
        EXPECT_LT(kl, before + 0.02) << layer << ": deeper layers say more";
        EXPECT_GT(lens_mean(table, of(layer, LensKind::ridge).shifted.kl), unigram) << layer;
        EXPECT_GT(of(layer, LensKind::ridge).explained, 0.2) << layer;
        before = kl;
    }
    EXPECT_LT(before, 0.1 * unigram) << "an affine map says the last layer's answer";
    const AnswerDepth depth = answer_depth(table, LensKind::ridge);
    EXPECT_GE(depth.by_kl, 0);
    EXPECT_LT(depth.by_kl, 3);
    EXPECT_EQ(answer_depth(table, LensKind::ridge, true).by_kl, -1) << "not of shifted tokens";

    // The depths of single tokens: as many agree at the last layer but one as the table says.
    std::int64_t known = 0, early = 0;
    for (const float of_token : result.logit_depth) {
        if (std::isnan(of_token)) continue;
        ++known;
        early += of_token <= 2;
    }
    EXPECT_EQ(known, 160);
    EXPECT_NEAR(static_cast<double>(early) / 160, lens_mean(table, of(2, LensKind::logit).own.agrees), 1e-9);

    save_lens(run, result);
    const tomograph::Run again = open_run(run.path());
    EXPECT_EQ(again.scores(), (std::vector<std::string>{"lens_depth", "ridge_depth"}));
    const auto loaded = load_lens(again);
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->rows, table.rows);
    ASSERT_EQ(loaded->series.size(), table.series.size());
    for (std::size_t s = 0; s < table.series.size(); ++s) {
        EXPECT_EQ(loaded->series[s].site, table.series[s].site);
        for (std::size_t g = 0; g < table.sequences.size(); ++g)
            EXPECT_NEAR(loaded->series[s].own.kl[g], table.series[s].own.kl[g], 1e-4);
    }
    EXPECT_TRUE(lens_json(measure_lens(model_, run, kSmall, no_progress()).table) == lens_json(table))
        << "the same seed gives the same numbers";
}

TEST_P(Lenses, OfPromptsEndInWhatTheModelSays) {
    const PromptSet given =
        given_prompts(model_.vocabulary(), {.prompts = {"Call me Ishmael.", "The whale"}});
    const tomograph::Run run = capture_run("run", prompts_);
    for (const tomograph::Run* fitted : {static_cast<const tomograph::Run*>(nullptr), &run}) {
        const auto readings = read_prompts(model_, given, fitted, 3, true, kSmall, no_progress());
        ASSERT_EQ(readings.size(), 2u);
        ASSERT_EQ(readings[0].sites.size(), 4u);
        for (const LensReading& reading : readings) {
            for (std::size_t t = 0; t < reading.tokens.size(); ++t) {
                const LensCell& last = reading.cells.back()[t];
                ASSERT_EQ(last.top.size(), 3u);
                if (fitted != nullptr) continue;
                EXPECT_LT(last.kl, 1e-6);
                EXPECT_EQ(last.top, reading.own[t].top);
                EXPECT_NEAR(last.p[0], reading.own[t].p[0], 1e-5);
                EXPECT_GT(reading.cells.front()[t].kl, 1e-3) << "an earlier layer is not the last one";
            }
        }
    }
}

TEST_P(Lenses, AreRefusedWhereTheyWouldBeWrong) {
    const tomograph::Run run = capture_run("run", prompts_);
    const auto refused = [&](const Model& model, const tomograph::Run& of) {
        return error_of([&] { measure_lens(model, of, kSmall, no_progress()); });
    };
    randomize(GetParam(), folder_ / "twin.gguf", {.threads = 1});
    EXPECT_NE(
        refused(Model::open((folder_ / "twin.gguf").string()), run).find("not the one that was captured"),
        std::string::npos);
    EXPECT_NE(refused(Model::open(golden_model("llama")), run).find("it has 4 layers of width"),
              std::string::npos);

    const auto captured = [&](const std::string& name, const PromptSet& prompts, CaptureOptions options) {
        options.threads = 1;
        capture(model_, prompts, folder_ / name, options, no_progress());
        return open_run(folder_ / name);
    };
    EXPECT_NE(refused(model_, captured("attention", prompts_, {.components = {Component::attn_out}}))
                  .find("no vectors of blocks.3.resid_post"),
              std::string::npos);
    const PromptSet one = text_prompts(model_.vocabulary(), {.sequences = 1, .length = 64});
    EXPECT_NE(refused(model_, captured("one", one, {})).find("too few sequences"), std::string::npos);
    const PromptSet positions = positions_prompts(model_, {.length = 32, .sequences = 4});
    const std::string raw = refused(model_, captured("positions", positions, {}));
    EXPECT_TRUE(raw.find("raw vectors") != std::string::npos || GetParam() != "bytes-gpt2") << raw;

    // A model that was changed while it read is not compared with itself; one whose run hides it is found
    // out.
    CaptureOptions changed{.threads = 1};
    changed.intervention =
        intervention(model_, prompts_,
                     read_acts(parse_json(R"({"acts": [{"act": "zero", "site": "blocks.1.mlp_out"}]})"),
                               model_.make_engine({.max_length = 64, .threads = 1})->sites(), ""),
                     changed, no_progress());
    const tomograph::Run acted = captured("acted", prompts_, changed);
    EXPECT_NE(measure_lens(model_, acted, kSmall, no_progress())
                  .table.check.unchecked.find("zero blocks.1.mlp_out"),
              std::string::npos);
    Json description = read_json(folder_ / "acted/run.json");
    description["capture"].erase("acts");
    write_json(folder_ / "acted/run.json", description);
    EXPECT_NE(refused(model_, open_run(folder_ / "acted")).find("differs from the model's own answer"),
              std::string::npos);
}

TEST_P(Lenses, StopWhenAsked) {
    struct StopLater final : Progress {
        void update(std::int64_t done) override { stop = stop || done > 300; }
        bool stop_requested() const override { return stop; }
        bool stop = false;
    } progress;
    const tomograph::Run run = capture_run("run", prompts_);
    EXPECT_THROW(measure_lens(model_, run, kSmall, progress), Stopped);
}

// A quantised output matrix and norm are the model's own here, too.
TEST(LensHead, ReadsQuantisedModels) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "q8.gguf", "q8_0", 1);
    const Model model = Model::open((folder / "q8.gguf").string());
    const PromptSet given =
        given_prompts(model.vocabulary(), {.prompts = {"It was the whiteness of the whale"}});
    for (const LensReading& reading : read_prompts(model, given, nullptr, 1, true, kSmall, no_progress())) {
        for (const LensCell& last : reading.cells.back()) EXPECT_LT(last.kl, 1e-5);
    }
}

}  // namespace
}  // namespace tomograph
