// Rows that must not decide: NaN, sinks, runs without means, layers at the model's ends.
#include "planted.h"
#include "support/errors.h"
#include "tomograph/capture/capture.h"
#include "tomograph/findings/norms.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {
namespace {

using test::error_of;
using test::finding;
using test::kDim;
using test::kSmall;
using test::layer_of;
using test::measured;
using test::noise;
using test::RunSketch;
using test::TempFolder;
using test::told;
using test::white_run;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

bool notes_hold(const MeasureReport& report, const std::string& text) {
    return std::ranges::any_of(report.notes,
                               [&](const std::string& note) { return note.find(text) != note.npos; });
}

// A start token inside the text is held against what stood there.
TEST(Sinks, APlantedStartTokenIsCountedAgainstWhatStoodThere) {
    const TempFolder folder;
    RunSketch sketch = white_run();
    sketch.write(folder / "run");
    sketch.lengths.assign(4, 33);
    sketch.value_of = [&](const std::string& site, std::int64_t token) -> Vector {
        const auto [position, sequence] = sketch.place(token);
        const bool is_sink = position == 16 && sequence < 3 && site == "blocks.3.resid_post";
        return noise(site, token) * (is_sink ? 100.0f : 1.0f);
    };
    sketch.edit = [](Json& run) {
        run["model"]["d_model"] = kDim;
        run["prompts"]["planted"] = {{"token", 9}, {"position", 16}};
    };
    sketch.write(folder / "planted");
    const tomograph::Run run = tomograph::Run::open(folder / "run"),
                         planted = tomograph::Run::open(folder / "planted");
    MeasureOptions options = kSmall;
    options.planted = &planted;
    const MeasureReport report = measure_run(run, options);
    const Json& found = report.tables.at("sinks").at("planted");
    EXPECT_EQ(found.at("token_id"), 9);
    EXPECT_EQ(found.at("sequences"), 4);
    EXPECT_EQ(found.at("sinks"), 3);
    EXPECT_GT(found.at("ratio").get<double>(), 50);
    EXPECT_NEAR(found.at("interval")[0].get<double>(), 0.1941, 1e-3);
    EXPECT_EQ(found.at("before").at("sinks"), 0);
    EXPECT_LT(found.at("before").at("ratio").get<double>(), 3);
    EXPECT_NE(
        findings_table(report).find("a start token planted at position 16 is a sink in 3 of 4 sequences"),
        std::string::npos);
    options.planted = &run;
    EXPECT_EQ(
        error_of([&] { measure_run(run, options); }),
        (folder / "run").string() + " holds no planted start token; capture it with --plant-start POSITION");
}

TEST(NotANumber, RowsAreNamedLeftOutAndCounted) {
    RunSketch sketch = white_run();
    sketch.labels = {"odd"};
    sketch.token_labels.assign(static_cast<std::size_t>(sketch.n_tokens()), -1);
    sketch.token_labels[40] = 0;
    sketch.value_of = [](const std::string& site, std::int64_t token) -> Vector {
        Vector values = noise(site, token) + Vector::Unit(kDim, 1) * 4;
        if (site == "blocks.3.mlp_out" && (token == 50 || token == 70)) values[2] = kNaN;
        if (site == "blocks.2.resid_post" && token == 70) values[5] = std::numeric_limits<float>::infinity();
        return values;
    };
    MeasureOptions options = kSmall;
    options.rows = 60;  // most bad rows lie outside the sample
    const MeasureReport report = measured(sketch, options);
    EXPECT_TRUE(notes_hold(report,
                           "2 of 264 rows hold NaN or Inf and are left out; the first is sequence 1, "
                           "position 17, at blocks.3.mlp_out"));
    EXPECT_EQ(finding(report, "anisotropy").verdict, Verdict::holds);
    EXPECT_FALSE(std::isnan(finding(report, "position_share").effect));
    EXPECT_EQ(report.how.at("rows_to_draw_from"), 8 * 32 - 2);
    EXPECT_TRUE(report.tables.contains("found_labels"));
}

TEST(NotANumber, ASiteOfNothingElseIsLeftOutAlone) {
    RunSketch sketch = white_run();
    sketch.value_of = [](const std::string& site, std::int64_t token) -> Vector {
        if (site.ends_with("attn_out")) return Vector::Constant(kDim, kNaN);
        return noise(site, token) + Vector::Unit(kDim, 1) * 4;
    };
    const MeasureReport report = measured(sketch);
    EXPECT_TRUE(notes_hold(report, "blocks.3.attn_out holds NaN or Inf in 264 of 264 rows and is left out"));
    EXPECT_EQ(finding(report, "attn_mlp_overlap").reason, "the vectors of attn_out hold NaN or Inf");
    EXPECT_EQ(finding(report, "anisotropy").verdict, Verdict::holds);
}

TEST(NotANumber, EverywhereLeavesAReason) {
    RunSketch sketch = white_run();
    sketch.value_of = [](const std::string&, std::int64_t) -> Vector { return Vector::Constant(kDim, kNaN); };
    const MeasureReport report = measured(sketch);
    for (const Finding& one : report.findings) {
        EXPECT_EQ(one.verdict, Verdict::not_measurable);
        EXPECT_NE(one.reason, "") << one.name;
    }
    EXPECT_EQ(finding(report, "anisotropy").reason, "all vectors hold NaN or Inf");
}

TEST(FirstToken, OnlyTheModelsOwnEndsAreNoMiddleLayers) {
    const TempFolder folder;
    RunSketch sketch = white_run();
    sketch.sites = test::block_sites({1, 2, 3}, {"resid_post"});
    sketch.value_of = [&](const std::string& site, std::int64_t token) -> Vector {
        const bool first = sketch.place(token).first == 0;
        return noise(site, token) * (first ? static_cast<float>(30 - 8 * layer_of(site)) : 1.0f);
    };
    sketch.write(folder / "middle");
    EXPECT_EQ(first_token_ratio(Run::open(folder / "middle"))->site.layer, 1) << "captured first, no end";
    sketch.sites = test::block_sites({0, 2, 5}, {"resid_post"});
    sketch.write(folder / "ends");
    EXPECT_EQ(first_token_ratio(Run::open(folder / "ends"))->site.layer, 2);
    sketch.sites = test::block_sites({0, 5}, {"resid_post"});
    sketch.write(folder / "only");
    EXPECT_EQ(first_token_ratio(Run::open(folder / "only"))->site.layer, 0) << "nothing else was captured";
}

/// A captured run, written again with `scale` times the vectors of some tokens in the stream.
MeasureReport with_sinks(const Run& run, const std::vector<std::int64_t>& sinks,
                         const MeasureOptions& options) {
    RunSketch sketch;
    sketch.n_layers = run.n_layers();
    sketch.lengths.assign(static_cast<std::size_t>(run.n_sequences()), run.length());
    sketch.shard_tokens = 100'000;
    sketch.sites.clear();
    std::map<std::string, Matrix> rows;
    for (const SiteShape& shape : run.sites()) {
        if (shape.width() != run.d_model()) continue;
        const std::string name = shape.site.name();
        sketch.sites.push_back({name, {run.d_model()}});
        Matrix& values = rows[name] = Matrix(run.n_rows(), run.d_model());
        run.read_rows(shape.site, 0, run.n_rows(), values.data());
        for (const std::int64_t sink : sinks) {
            if (shape.site.component == Component::resid_post) values.row(sink) *= 60;
        }
    }
    sketch.value_of = [&](const std::string& site, std::int64_t token) -> Vector {
        return rows.at(site).row(token).transpose();
    };
    sketch.edit = [&](Json& json) { json["model"]["d_model"] = run.d_model(); };
    return measured(sketch, options);
}

TEST(Sinks, OneMoreMovesNoHeadlineByMoreThanOnePercent) {
    const TempFolder folder;
    const Model model = Model::open("bytes-gpt2");
    capture(model, text_prompts(model.vocabulary(), {.sequences = 16, .length = 96}), folder / "run", {},
            no_progress());
    const tomograph::Run run = Run::open(folder / "run");
    const MeasureOptions options{.rows = 4000, .bootstrap = 20};
    const MeasureReport without = with_sinks(run, {}, options),
                        with = with_sinks(run, {5 * 96 + 40}, options);
    const Json &before = without.tables.at("sinks"), &after = with.tables.at("sinks");
    EXPECT_EQ(after.at("sinks").get<int>(), before.at("sinks").get<int>() + 1);
    for (std::size_t i = 0; i < with.findings.size(); ++i) {
        const double a = without.findings[i].effect, b = with.findings[i].effect;
        if (std::isnan(a)) continue;
        EXPECT_NEAR(a, b, 0.01 * std::abs(a)) << with.findings[i].name;
    }
}

TEST(Sinks, AreCountedListedAndDescribed) {
    RunSketch sketch = white_run();
    sketch.value_of = [&](const std::string& site, std::int64_t token) -> Vector {
        const bool first = sketch.place(token).first == 0, odd = token == 50;
        const bool there = site.ends_with("resid_post") && layer_of(site) >= 2 && layer_of(site) <= 4;
        Vector values = noise(site, token);
        if (there && (odd || (first && token > 0))) values[7] = 400;
        return values;
    };
    const MeasureReport report = measured(sketch);
    const Json& census = report.tables.at("sinks");
    EXPECT_EQ(census.at("sinks"), 8);
    EXPECT_EQ(census.at("at_first_position"), 7);
    EXPECT_NEAR(census.at("precision").get<double>(), 7.0 / 8, 1e-5);
    EXPECT_NEAR(census.at("recall").get<double>(), 7.0 / 8, 1e-5);
    EXPECT_EQ(census.at("born").dump(), R"([{"layer":2,"sinks":8}])");
    EXPECT_EQ(census.at("ends").dump(), R"([{"layer":4,"sinks":8}])");
    EXPECT_EQ(census.at("coordinates").at("coordinates").dump(), "[7]");
    EXPECT_EQ(census.at("list").size(), 8u);
    EXPECT_EQ(census.at("by_site").at(2).dump(),
              R"({"site":"blocks.2.resid_post","at_first_position":7,"elsewhere":1})");
    EXPECT_TRUE(census.at("start_token").is_null()) << "no two sequences begin alike";
    EXPECT_NE(findings_table(report).find("8 of 264 tokens are sinks"), std::string::npos);
    EXPECT_EQ(report.how.at("rows_to_draw_from"), 8 * 32 - 1) << "the first position is apart anyway";
}

TEST(Sinks, SayWhetherTheStartTokenElsewhereIsOne) {
    RunSketch sketch = white_run();
    for (std::int64_t token = 0; token < sketch.n_tokens(); ++token)
        sketch.token_ids.push_back(sketch.place(token).first % 20 == 0 ? 1 : 50);
    sketch.value_of = [&](const std::string& site, std::int64_t token) -> Vector {
        const auto [position, sequence] = sketch.place(token);
        const bool sink = position == 0 || (position == 20 && sequence < 3);
        return noise(site, token) * (sink && site.ends_with("resid_post") ? 100.0f : 1.0f);
    };
    const MeasureReport report = measured(sketch);
    EXPECT_EQ(report.tables.at("sinks").at("start_token").dump(),
              R"({"token_id":1,"elsewhere":8,"sinks_elsewhere":3})");
    EXPECT_NE(findings_table(report).find("of 8 start tokens elsewhere 3 are sinks"), std::string::npos);
}

TEST(Sinks, OfEveryTokenAloneLeaveAReason) {
    RunSketch sketch = white_run();
    sketch.lengths.assign(12, 1);  // a vocabulary: each token alone
    sketch.value_of = [](const std::string& site, std::int64_t token) -> Vector {
        // Each is a sink somewhere.
        return noise(site, token) * (token % 6 == layer_of(site) ? 1000.0f : 1.0f);
    };
    const MeasureReport report = measured(sketch);
    EXPECT_EQ(finding(report, "anisotropy").reason, "every row holds NaN or Inf, or is a sink");
}

}  // namespace
}  // namespace tomograph
