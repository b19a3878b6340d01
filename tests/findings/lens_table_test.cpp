// Where a lens finds the answer, of tables made by hand, and what rotation stretches.
#include <numbers>

#include "planted.h"
#include "support/errors.h"
#include "support/open_run.h"
#include "tomograph/findings/lens_table.h"

namespace tomograph {
namespace {

using namespace test;

/// Eight sequences whose ridge lens diverges so much after each block (each sequence by some noise more or
/// less), where the mean answer diverges by 4 nats; the top token is the answer's where that is under 1.
LensTable table_of(const Run& run, const std::vector<double>& kl, double noise = 0.1) {
    LensTable table;
    table.n_tokens = run.n_tokens();
    table.n_layers = static_cast<int>(kl.size());
    Rng rng(7);
    const auto numbers_of = [&](double mean) {
        LensNumbers numbers;
        for (int s = 0; s < 8; ++s) {
            numbers.kl.push_back(mean == 0 ? 0 : mean + noise * rng.normal());
            numbers.log_rank.push_back(mean);
            numbers.agrees.push_back(mean < 1 ? 0.9 : 0.1);
        }
        return numbers;
    };
    for (int s = 0; s < 8; ++s) {
        table.sequences.push_back(s);
        table.rows.push_back(20 + s);
    }
    table.final = numbers_of(0);
    table.unigram = numbers_of(4);
    table.check = {32, 1e-5, 5e-3, ""};
    for (std::size_t layer = 0; layer < kl.size(); ++layer) {
        for (const LensKind lens : {LensKind::logit, LensKind::ridge})
            table.series.push_back({.site = {Component::resid_post, static_cast<int>(layer)},
                                    .lens = lens,
                                    .own = numbers_of(lens == LensKind::ridge ? kl[layer] : kl[layer] + 1),
                                    .shifted = numbers_of(6),
                                    .penalty = 0.01,
                                    .explained = 0.5});
    }
    return table;
}

Finding depth_of(const std::vector<double>& kl, double noise = 0.1) {
    const TempFolder folder;
    white_run().write(folder / "run");
    const tomograph::Run run = open_run(folder / "run");
    save_lens(run, table_of(run, kl, noise));
    const MeasureReport report = measure_run(run, kSmall);
    const auto shown = std::ranges::count_if(report.charts, [](const Chart& chart) {
        return std::ranges::find(chart.findings, "answer_depth") != chart.findings.end();
    });
    EXPECT_EQ(shown, 1) << "its figure is the divergence by layer";
    return finding(report, "answer_depth");
}

TEST(AnswerDepthFinding, HoldsWhereTheAnswerIsThereBeforeTheEnd) {
    const Finding found = depth_of({3.9, 3.5, 1.2, 0.6, 0.3, 0});
    EXPECT_EQ(found.verdict, Verdict::holds) << told(found);
    EXPECT_NEAR(found.effect, 0.5, 1e-9) << "after the third block of six";
    EXPECT_EQ(found.null, 1);
    EXPECT_EQ(found.detail["ridge"]["layer_by_kl"], 2);
    EXPECT_EQ(found.detail["ridge"]["layer_by_top"], 3);
    EXPECT_EQ(found.detail["logit"]["layer_by_kl"], 3) << "its divergence is greater by one";
}

// Nothing before the last block says more than the mean answer: however noisy, no depth is claimed.
TEST(AnswerDepthFinding, IsAbsentWhereOnlyTheEndSaysIt) {
    for (const double noise : {0.1, 1.0}) {
        const Finding found = depth_of({4.2, 4.1, 4.0, 4.0, 3.9, 0}, noise);
        EXPECT_EQ(found.verdict, Verdict::absent) << told(found);
        EXPECT_EQ(found.effect, 1);
    }
}

TEST(AnswerDepthFinding, NeedsALensOfTheRunAsItIs) {
    EXPECT_NE(finding(measured(white_run()), "answer_depth").reason.find("no lens was made: tomograph lens"),
              std::string::npos);
    const TempFolder folder;
    white_run().write(folder / "run");
    const tomograph::Run run = open_run(folder / "run");
    LensTable table = table_of(run, {1, 1, 1, 1, 1, 0});
    table.n_tokens -= 1;
    save_lens(run, table);
    EXPECT_FALSE(load_lens(run)) << "of a run that has gone on";
    folder.write("run/measures/lens.json", "{}");
    EXPECT_NE(error_of([&] { load_lens(run); }).find("is no lens's table"), std::string::npos);
    Json json = lens_json(table_of(run, {1, 1, 1, 1, 1, 0}));
    json["series"][3]["own"]["kl"].erase(0);
    EXPECT_NE(error_of([&] { lens_from_json(json); }).find("do not fit its sequences"), std::string::npos);
}

TEST(LensTables, MeanOverTokensNotSequences) {
    const TempFolder folder;
    white_run().write(folder / "run");
    LensTable table = table_of(open_run(folder / "run"), {1, 0});
    table.rows = {1, 0, 0, 0, 0, 0, 0, 3};
    EXPECT_DOUBLE_EQ(lens_mean(table, {2, 9, 9, 9, 9, 9, 9, 6}), 5);
    const std::vector<double> weights{3, 0, 0, 0, 0, 0, 0, 1};
    EXPECT_DOUBLE_EQ(lens_mean(table, {2, 9, 9, 9, 9, 9, 9, 6}, weights), 4);
    EXPECT_EQ(lens_from_json(lens_json(table)).rows, table.rows);
}

/// Ten sequences of 129 tokens; the stream has a share that depends on position, read at a speed.
RunSketch rotating(double speed, const std::function<double(double t, int k)>& shared) {
    RunSketch sketch = white_run();
    sketch.lengths.assign(12, 129);
    sketch.sites = block_sites(layers_to(6), {"resid_post"});
    sketch.shard_tokens = 10000;
    // `sketch` is returned by value: what draws from it keeps its own.
    sketch.value_of = [place = sketch, speed, shared](const std::string& site, std::int64_t token) -> Vector {
        Vector values = noise(site, token, static_cast<std::uint64_t>(100 * speed));
        for (int k = 0; k < 6; ++k) values[k] += static_cast<float>(shared(place.place(token).first, k));
        return values;
    };
    sketch.edit = [speed](Json& run) {
        run["model"]["d_model"] = kDim;
        if (speed != 1) run["capture"]["rope_frequency"] = speed;
    };
    return sketch;
}

Finding dose_of(const std::function<double(double speed, double t, int k)>& shared) {
    const TempFolder folder;
    std::vector<tomograph::Run> runs;
    for (const double speed : {1.0, 0.7, 0.85, 1.15, 1.3}) {
        const std::string name = "run-" + std::to_string(speed);
        rotating(speed, [&](double t, int k) { return shared(speed, t, k); }).write(folder / name);
        runs.push_back(open_run(folder / name));
    }
    MeasureOptions options = kSmall;
    for (std::size_t i = 1; i < runs.size(); ++i) options.rope_doses.push_back(&runs[i]);
    return finding(measure_run(runs.front(), options), "rope_dose");
}

double wave(double t, int k) {
    return 2 * std::cos(2 * std::numbers::pi * t * (k + 1) / 100 + k);
}

TEST(RopeDose, StretchesWithRotationWhereThatMakesThePositions) {
    const Finding found = dose_of([](double speed, double t, int k) { return wave(speed * t, k); });
    EXPECT_EQ(found.verdict, Verdict::holds) << told(found);
    EXPECT_NEAR(found.effect, 1, 0.05);
    EXPECT_NEAR(found.detail["doses"][0]["stretch"].get<double>(), 0.7, 0.02);
}

TEST(RopeDose, StaysWhereSomethingElseMakesThem) {
    const Finding found = dose_of([](double, double t, int k) { return wave(t, k); });
    EXPECT_EQ(found.verdict, Verdict::absent) << told(found);
    EXPECT_NEAR(found.effect, 0, 0.05);
}

TEST(RopeDose, CannotBeToldWherePositionsShareNothing) {
    const Finding found = dose_of([](double, double, int) { return 0.0; });
    EXPECT_EQ(found.verdict, Verdict::not_measurable) << told(found);
    EXPECT_NE(found.reason.find("cannot be followed"), std::string::npos) << found.reason;
}

TEST(RopeDose, RefusesARunAtTheSameSpeed) {
    const TempFolder folder;
    rotating(1, [](double, int) { return 0.0; }).write(folder / "run");
    const tomograph::Run run = open_run(folder / "run");
    MeasureOptions options = kSmall;
    options.rope_doses = {&run};
    EXPECT_NE(error_of([&] { measure_run(run, options); }).find("at the run's own speed"), std::string::npos);
}

}  // namespace
}  // namespace tomograph
