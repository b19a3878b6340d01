#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "support/errors.h"
#include "support/golden.h"
#include "support/temp_folder.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/intervene/sweep.h"
#include "tomograph/model/model.h"
#include "tomograph/statistics/ranks.h"

namespace tomograph {
namespace {

using namespace test;

class Sweeps : public testing::TestWithParam<const char*> {
  protected:
    InterventionEffect effect(const std::string& acts) const {
        const auto sites = model_.make_engine({.max_length = 24, .threads = 1})->sites();
        return measure_effect(model_, prompts_, read_acts(parse_json(acts), sites, ""),
                              {.exact = true, .threads = 1, .control = false, .bootstrap = 100});
    }
    Model model_ = Model::open(GetParam());
    PromptSet prompts_ = text_prompts(model_.vocabulary(), {.sequences = 6, .length = 24});
};
INSTANTIATE_TEST_SUITE_P(Intervene, Sweeps, testing::Values("bytes-gpt2", "bytes-llama"),
                         [](const auto& test) {
                             return test.param == std::string("bytes-gpt2") ? "gpt2" : "llama";
                         });

// A decoder beside an encoder writes three times a block; what it takes from the source comes before
// resid_mid.
TEST(SweepTarget, GivesWhatSingleActsGive) {
    const Model model = Model::open(golden_model("t5"), HeldWeights::as_stored, 1, Side::target);
    const TempFolder folder;
    std::string lines;
    for (const char* word : {"north", "south", "east", "west", "up", "down"})
        lines += std::string("{\"source\": \"The whale swam ") + word + "\", \"target\": \"La baleine.\"}\n";
    const PromptSet prompts =
        jsonl_prompts(model.vocabulary(), {.file = folder.write("pairs.jsonl", lines), .length = 48});
    const SweepReport report = sweep(
        model, prompts, {.over = {SweepOver::components}, .exact = true, .threads = 1, .bootstrap = 20});
    ASSERT_EQ(report.units.size(), 2U * 3);
    const auto sites = model.make_engine({.max_length = 48, .threads = 1})->sites();
    for (const SweepUnit& unit : report.units) {
        const std::string act = "{\"acts\": [{\"act\": \"zero\", \"site\": \"blocks." +
                                std::to_string(unit.layer) + "." +
                                std::string(component_name(unit.component)) + "\"}]}";
        const auto want = measure_effect(model, prompts, read_acts(parse_json(act), sites, ""),
                                         {.exact = true, .threads = 1, .control = false, .bootstrap = 20});
        EXPECT_NEAR(unit.change, want.change, 1e-5) << unit.name();
    }
}

// What begins at a block's own stream is what a whole run gives.
TEST_P(Sweeps, GiveWhatSingleActsGive) {
    SweepOptions options{.over = {SweepOver::components, SweepOver::layers, SweepOver::heads},
                         .exact = true,
                         .threads = 1,
                         .control = true,
                         .bootstrap = 50};
    for (const ActKind act : {ActKind::zero, ActKind::mean, ActKind::resample}) {
        options.act = act;
        const SweepReport report = sweep(model_, prompts_, options);
        ASSERT_EQ(report.units.size(), 4u * (2 + 1 + 4));
        const std::string name(act_name(act));
        for (const SweepUnit& unit : report.units) {
            if (unit.layer != 2) continue;
            std::string acts;
            const auto add = [&](const std::string& site, const std::string& more) {
                acts += (acts.empty() ? "" : ", ") +
                        ("{\"act\": \"" + name + "\", \"site\": \"blocks.2." + site + "\"" + more + "}");
            };
            if (unit.head >= 0) {
                add("z", ", \"heads\": [" + std::to_string(unit.head) + "]");
            } else {
                add(std::string(component_name(unit.component)), "");
                if (unit.over == SweepOver::layers) add("mlp_out", "");
            }
            // Who gives to whom depends on an act's number: only the others are the same acts.
            if (act == ActKind::resample) continue;
            const auto want = effect("{\"acts\": [" + acts + "]}");
            EXPECT_NEAR(unit.change, want.change, 1e-6) << unit.name();
            EXPECT_NEAR(report.before, want.before, 1e-6);
        }
        for (const SweepUnit& unit : report.units) {
            ASSERT_TRUE(unit.interval && unit.control) << unit.name();
            EXPECT_LE(unit.interval->lo, unit.change);
            for (const double value : unit.geometry) EXPECT_TRUE(std::isfinite(value)) << unit.name();
        }
        ASSERT_EQ(report.correlations.size(), kGeometries);
        EXPECT_TRUE(report.correlations.front().interval);
        for (const SweepCorrelation& correlation : report.correlations) {
            // Of one component at a time, as if the sweep had been over that one alone.
            for (const auto& [component, rho] : correlation.within) {
                std::vector<double> values, damage;
                for (const SweepUnit& unit : report.units) {
                    if (unit.over != SweepOver::components || unit.component != component) continue;
                    values.push_back(unit.geometry[static_cast<std::size_t>(correlation.geometry)]);
                    damage.push_back(unit.change);
                }
                EXPECT_NEAR(rho, rank_correlation(values, damage), 1e-12);
            }
        }
    }
}

TEST_P(Sweeps, SeeTheGeometryOfWhatTheyRemove) {
    const SweepReport report = sweep(
        model_, prompts_, {.over = {SweepOver::components}, .exact = true, .threads = 1, .bootstrap = 1});
    const auto engine = model_.make_engine({.max_length = 24, .exact = true, .threads = 1});
    // The norm of one place, formed from all of its values.
    const auto& unit = report.units[3];
    EXPECT_EQ(unit.name(), "blocks.1.mlp_out");
    struct NormTap final : Tap {
        void take(const SiteBatch& batch) override {
            for (std::int64_t i = 0; i < batch.n_tokens; ++i) {
                if ((batch.first_token + i) % 24 == 0) continue;
                sum += Eigen::Map<const Vector>(batch.data + i * batch.width, batch.width).norm();
            }
        }
        double sum = 0;
    } tap;
    std::size_t site = 0;
    while (engine->sites()[site].site.name() != unit.name()) ++site;
    engine->run(prompts_.sequences, {.reads = {site}}, tap);
    EXPECT_NEAR(unit.geometry[0], tap.sum / (6 * 23), 1e-4);
    EXPECT_GT(unit.geometry[static_cast<std::size_t>(Geometry::dimension)], 1);
    EXPECT_LT(unit.geometry[static_cast<std::size_t>(Geometry::dimension)], 128);
}

TEST(SweepWords, AreReadOrRefused) {
    EXPECT_EQ(parse_sweep_over("heads,layers,heads"), (std::vector{SweepOver::heads, SweepOver::layers}));
    EXPECT_NE(error_of([] { parse_sweep_over("rows"); }).find("cannot sweep over 'rows'"), std::string::npos);
    EXPECT_NE(error_of([] { parse_sweep_over(""); }).find("cannot sweep over ''"), std::string::npos);
    EXPECT_NE(error_of([] { parse_sweep_act("add"); }).find("no act 'add'"), std::string::npos);
}

}  // namespace
}  // namespace tomograph
