// measure_run() on the two models of the program, and on runs that lack what it needs.
#include "tomograph/findings/measure.h"
#include "tomograph/model/model.h"

#include <gtest/gtest.h>

#include <fstream>

#include "planted.h"
#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/random.h"
#include "tomograph/capture/capture.h"
#include "tomograph/findings/compare.h"
#include "tomograph/model/quantize.h"
#include "tomograph/model/randomize.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/store/let_go.h"

namespace tomograph {
namespace {

using test::error_of;
using test::finding;
using test::TempFolder;

const MeasureOptions kSome{.rows = 600, .bootstrap = 30};

struct Captured {
    std::string model = "bytes-gpt2";
    std::int64_t sequences = 8;
    std::int64_t length = 64;
    CaptureOptions options = {};
};

Run capture_run(const TempFolder& folder, const std::string& name, const Captured& what) {
    const Model model = Model::open(what.model);
    capture(model, text_prompts(model.vocabulary(), {.sequences = what.sequences, .length = what.length}),
            folder / name, what.options, no_progress());
    return Run::open(folder / name);
}

TEST(MeasureRun, OfOneFindingIsThatOfAll) {
    const TempFolder folder;
    const tomograph::Run run = capture_run(folder, "run", {});
    MeasureOptions options = kSome;
    options.only = {"anisotropy"};
    const MeasureReport one = measure_run(run, options), all = measure_run(run, kSome);
    ASSERT_EQ(one.findings.size(), 1u);
    EXPECT_EQ(one.findings[0].effect, finding(all, "anisotropy").effect);
    EXPECT_EQ(one.findings[0].interval->lo, finding(all, "anisotropy").interval->lo);
    EXPECT_TRUE(one.outliers.empty());
    options.only = {"soul"};
    EXPECT_EQ(error_of([&] { measure_run(run, options); }),
              "no finding soul; tomograph measure --list names them");
}

TEST(MeasureRun, GivesAllFindingsWithIntervalAndNull) {
    const TempFolder folder;
    const tomograph::Run run = capture_run(folder, "run", {});
    const MeasureReport report = measure_run(run, kSome);
    ASSERT_EQ(report.findings.size(), 16u);
    for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(report.findings[i].name, finding_names()[i]);
    for (const Finding& one : report.findings) {
        if (one.verdict == Verdict::not_measurable) {
            EXPECT_TRUE(one.name == "layer_cka" || one.name == "position_lattice" ||
                        one.name == "answer_depth")
                << one.name << ": " << one.reason;
            EXPECT_NE(one.reason, "");
            continue;
        }
        ASSERT_TRUE(one.interval) << one.name;
        EXPECT_LE(one.interval->lo, one.interval->hi) << one.name;
        EXPECT_FALSE(std::isnan(one.null)) << one.name;
        const bool clears = one.smaller_counts ? one.interval->hi < one.null : one.interval->lo > one.null;
        if (one.verdict == Verdict::holds)
            EXPECT_TRUE(clears) << one.name;
        else
            EXPECT_NE(one.reason, "") << one.name;
    }
    // A model with a learned table: the first token stands out, and position explains something.
    EXPECT_EQ(finding(report, "first_token_norm").verdict, Verdict::holds);
    EXPECT_GT(finding(report, "position_share").effect, 0.01);
    EXPECT_EQ(finding(report, "attn_mlp_separation").verdict, Verdict::holds);
}

TEST(MeasureRun, NoNumberDependsOnThreads) {
    const TempFolder folder;
    const tomograph::Run run = capture_run(folder, "run", {.sequences = 6});
    MeasureOptions one = kSome, four = kSome;
    one.threads = 1;
    four.threads = 4;
    const MeasureReport a = measure_run(run, one), b = measure_run(run, four);
    EXPECT_EQ(findings_json(a).dump(), findings_json(b).dump());
    EXPECT_EQ(Json(a.tables).dump(), Json(b.tables).dump());
}

TEST(MeasureRun, TwinsAreHeldAgainstByKindAndMustFit) {
    const TempFolder folder;
    const tomograph::Run run = capture_run(folder, "run", {});
    std::vector<tomograph::Run> twins;
    MeasureOptions options = kSome;
    const auto add = [&](const std::string& name, const RandomizeOptions& how) {
        const std::string weights = (folder / (name + ".gguf")).string();
        randomize("bytes-gpt2", weights, how);
        twins.push_back(capture_run(folder, name, {.model = weights, .sequences = 6}));
    };
    add("a", {.seed = 1});
    add("s", {.keep = TwinKeeps::spectrum, .seed = 1});
    add("b", {.seed = 2});
    for (const tomograph::Run& twin : twins) options.twins.push_back(&twin);
    const MeasureReport report = measure_run(run, options);
    const Finding& share = finding(report, "position_share");
    ASSERT_EQ(share.twins.size(), 2u);
    EXPECT_EQ(share.twins[0].kind, "gaussian");
    ASSERT_EQ(share.twins[0].values.size(), 2u);
    EXPECT_NE(share.twins[0].values[0], share.twins[0].values[1]);
    EXPECT_EQ(share.twins[1].kind, "spectrum");
    EXPECT_EQ(share.twins[1].values.size(), 1u);
    for (const Control& control : share.controls) EXPECT_NE(control.name, "gaussian") << "not the null";
    EXPECT_EQ(report.how["twins"].size(), 3u);
    EXPECT_EQ(report.how["twins"][0]["sequences"], 6);
    EXPECT_NE(findings_table(report).find("Untrained twins: 2 gaussian and 1 spectrum."), std::string::npos);

    const tomograph::Run other = capture_run(folder, "other", {.sequences = 9});
    options.twins = {&other};
    EXPECT_NE(error_of([&] { measure_run(run, options); }).find("it read other tokens"), std::string::npos);
}

// A twin's vectors may go once it is measured: nothing that is found changes.
TEST(MeasureRun, TakesWhatWasKeptOfATwin) {
    const TempFolder folder;
    const tomograph::Run run = capture_run(folder, "run", {});
    const std::string weights = (folder / "twin.gguf").string();
    randomize("bytes-gpt2", weights, {.seed = 1});
    MeasureOptions options = kSome;
    MeasureReport before;
    {
        const tomograph::Run twin = capture_run(folder, "twin", {.model = weights, .sequences = 6});
        options.twins = {&twin};
        before = measure_run(run, options);
        keep_twin_effects(twin, options, no_progress());
        EXPECT_EQ(findings_json(measure_run(run, options)).dump(), findings_json(before).dump());
    }
    let_go_of_vectors(folder / "twin");
    const tomograph::Run twin = tomograph::Run::open(folder / "twin");
    ASSERT_EQ(twin.n_rows(), 0);
    options.twins = {&twin};
    const MeasureReport after = measure_run(run, options);
    EXPECT_EQ(findings_json(after).dump(), findings_json(before).dump());
    EXPECT_EQ(after.how.dump(), before.how.dump());
    EXPECT_EQ(after.notes, before.notes);
    EXPECT_FALSE(finding(after, "position_share").twins.empty());

    options.seed += 1;
    const MeasureReport other = measure_run(run, options);
    ASSERT_EQ(other.notes.size(), before.notes.size() + 1);
    EXPECT_NE(findings_table(other).find(
                  "note: the twins' vectors were let go: their effects are those of 600 rows and seed 42"),
              std::string::npos);

    folder.write("twin/measures/effects.json", R"({"rows": 600, "rows_asked": "many"})");
    EXPECT_EQ(error_of([&] { measure_run(run, options); }),
              (folder / "twin/measures/effects.json").string() +
                  " holds no effects of a twin: rows_asked must be a whole number; make the study again, or "
                  "capture the twin with its vectors");
}

TEST(MeasureRun, RotationOffIsComparedByWhatPositionsShare) {
    const TempFolder folder;
    const tomograph::Run run = capture_run(folder, "run", {.model = "bytes-llama"});
    const tomograph::Run off =
        capture_run(folder, "off", {.model = "bytes-llama", .options = {.rope_off = true}});
    EXPECT_TRUE(off.json().at("capture").at("rope_off").get<bool>());
    MeasureOptions options = kSome;
    options.rope_off = &off;
    const MeasureReport report = measure_run(run, options);
    ASSERT_EQ(report.findings.size(), 17u);
    EXPECT_EQ(report.findings.back().name, "rope_share");
    options.rope_off = &run;
    EXPECT_NE(error_of([&] { measure_run(run, options); }).find("was captured with rotation on"),
              std::string::npos);
}

TEST(MeasureRun, SaysWhatIsMissingAndWhichFlagCapturesIt) {
    const TempFolder folder;
    const tomograph::Run stream =
        capture_run(folder, "stream", {.options = {.components = {Component::resid_post}}});
    const MeasureReport report = measure_run(stream, kSome);
    EXPECT_EQ(finding(report, "attn_mlp_overlap").verdict, Verdict::not_measurable);
    EXPECT_EQ(finding(report, "attn_mlp_overlap").reason,
              "the run has no vectors of attn_out; capture with --components attn_out");
    EXPECT_EQ(finding(report, "anisotropy").verdict, Verdict::holds) << "the others still run";

    const tomograph::Run norms = capture_run(folder, "norms", {.options = {.vectors = false}});
    const MeasureReport bare = measure_run(norms, kSome);
    EXPECT_EQ(finding(bare, "anisotropy").reason, "the run keeps no vectors; capture without --no-vectors");
    EXPECT_EQ(finding(bare, "first_token_norm").verdict, Verdict::holds) << "norms suffice";
}

TEST(MeasureRun, FewSequencesShortOnesAndOneLayerAreSaidPlainly) {
    const TempFolder folder;
    const MeasureReport few = measure_run(capture_run(folder, "few", {.sequences = 3}), kSome);
    EXPECT_EQ(finding(few, "anisotropy").reason, "too few sequences for an interval: 5 are needed");
    EXPECT_FALSE(std::isnan(finding(few, "anisotropy").effect)) << "the number is there";

    const MeasureReport single = measure_run(capture_run(folder, "single", {.sequences = 1}), kSome);
    EXPECT_NE(finding(single, "position_share").reason.find("one sequence"), std::string::npos);

    const MeasureReport layer =
        measure_run(capture_run(folder, "layer", {.options = {.layers = {1, 2}}}), kSome);
    EXPECT_EQ(finding(layer, "layer_paths").reason, "one layer only");
    EXPECT_EQ(finding(layer, "separation_by_depth").reason, "one layer only");

    const Model model = Model::open("bytes-gpt2");
    capture(model, vocabulary_prompts(model.vocabulary(), {}), folder / "vocabulary", {}, no_progress());
    const MeasureReport vocabulary = measure_run(Run::open(folder / "vocabulary"), kSome);
    EXPECT_EQ(finding(vocabulary, "first_token_norm").reason, "every sequence is one token long");
    EXPECT_NE(finding(vocabulary, "position_share").verdict, Verdict::holds);
}

TEST(MeasureRun, ConstantRowsAreNoFinding) {
    const TempFolder folder;
    const Model model = Model::open("bytes-llama");
    capture(model, repeat_prompts(model.vocabulary(), {.word = "a", .length = 64}), folder / "run", {},
            no_progress());
    const MeasureReport report = measure_run(Run::open(folder / "run"), kSome);
    for (const Finding& one : report.findings) EXPECT_NE(one.verdict, Verdict::holds) << one.name;
}

TEST(MeasureRun, FindsASegmentOfBase64InProse) {
    const TempFolder folder;
    std::ofstream file(folder / "planted.jsonl");
    Rng rng(2);
    const std::string prose =
        "It was the whiteness of the whale that above all things appalled me. But how can I hope to explain "
        "myself here; and yet in some dim random way";
    for (int line = 0; line < 24; ++line) {
        std::string noise;
        for (int i = 0; i < 16; ++i)
            noise += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[rng.below(64)];
        const std::string begin = prose.substr(static_cast<std::size_t>(line), 70);
        if (line % 4 == 0)
            file << Json{{"segments",
                          {{{"label", "prose"}, {"text", begin}}, {{"label", "base64"}, {"text", noise}}}}}
                        .dump()
                 << "\n";
        else
            file << Json{{"segments", {{{"label", "prose"}, {"text", begin}}}}}.dump() << "\n";
    }
    file.close();
    const Model model = Model::open("bytes-gpt2");
    capture(model, jsonl_prompts(model.vocabulary(), {.file = folder / "planted.jsonl", .length = 128}),
            folder / "run", {}, no_progress());
    const MeasureReport report = measure_run(Run::open(folder / "run"), kSome);
    const Json& found = report.tables.at("found_labels");
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[1]["label"], "base64");
    EXPECT_GT(found[1]["best_auroc"].get<double>(), 0.9) << found.dump();
}

TEST(MeasureRun, WritesJsonAndCsvAndPrintsTheContract) {
    const TempFolder folder;
    const tomograph::Run run = capture_run(folder, "run", {});
    MeasureReport report = measure_run(run, kSome);
    report.findings[5].figure = "figures/a.png";
    save_measures(run, report);
    for (const char* file : {"findings.json", "findings.csv", "sites.json", "sites.csv", "separation.json",
                             "separation.csv", "positions.json", "trajectories.json", "dispersion.json",
                             "cka.json", "outliers.json", "outliers.csv", "norms.json", "heads.json"}) {
        EXPECT_TRUE(std::filesystem::exists(run.path() / "measures" / file)) << file;
    }
    const std::vector<float> scores = Run::open(run.path()).score("outlier");
    for (const Outlier& one : report.outliers)
        EXPECT_EQ(scores[static_cast<std::size_t>(one.token)], static_cast<float>(one.score));
    EXPECT_TRUE(std::isnan(scores[0])) << "first tokens have scores of another kind";
    EXPECT_EQ(load_findings(run)["findings"].size(), 16u);
    const Json json = findings_json(report);
    for (const Json& one : json["findings"]) {
        for (const char* key : {"name", "effect", "interval", "null", "p", "verdict", "figure"})
            EXPECT_TRUE(one.contains(key)) << key;
        if (one["verdict"] == "not measurable") {
            EXPECT_TRUE(one["effect"].is_null() || one["interval"].is_null());
        }
    }
    EXPECT_EQ(json["findings"][5]["figure"], "figures/a.png");
    for (const Json& one : json["outliers"]) {
        for (const char* key : {"site", "sequence", "position", "token", "score"})
            EXPECT_TRUE(one.contains(key)) << key;
    }
    EXPECT_NE(findings_table(report).find("figures/a.png"), std::string::npos);
}

TEST(FailOn, AsksForVerdictsByName) {
    const TempFolder folder;
    const MeasureReport report = measure_run(capture_run(folder, "run", {}), kSome);
    EXPECT_EQ(failing(report, {"first_token_norm", "layer_cka"}),
              std::vector<std::string>{"first_token_norm"});
    EXPECT_EQ(
        failing(report, {"layer_cka:not-measurable", "first_token_norm:absent", "first_token_norm:undecided",
                         "first_token_norm:as-untrained", "first_token_norm:holds"}),
        (std::vector<std::string>{"layer_cka:not-measurable", "first_token_norm:holds"}));
    EXPECT_NE(error_of([&] { failing(report, {"layer_cka:unclear"}); }).find("VERDICT being holds"),
              std::string::npos);
    EXPECT_NE(error_of([&] { failing(report, {"beauty"}); }).find("findings are attn_mlp_separation"),
              std::string::npos);
}

TEST(Compare, RanksLayersOfAQuantisedModelAboveTheSameWeights) {
    const TempFolder folder;
    quantize("bytes-gpt2", folder / "q4.gguf", "q4_0", 1);
    const tomograph::Run a = capture_run(folder, "a", {}), same = capture_run(folder, "same", {});
    const tomograph::Run b = capture_run(folder, "b", {.model = (folder / "q4.gguf").string()});
    const CompareReport null = compare_runs(a, same, {.rows = 400}),
                        moved = compare_runs(a, b, {.rows = 400});
    ASSERT_EQ(null.sites.size(), moved.sites.size());
    for (const SiteDrift& drift : null.sites)
        EXPECT_NEAR(drift.relative_change, 0, 1e-3) << drift.site.name();
    const auto ranking = moved.ranking();
    ASSERT_EQ(ranking.size(), 4u);
    for (const SiteDrift& drift : ranking) {
        EXPECT_GT(drift.relative_change, 0.01) << drift.site.name();
        ASSERT_TRUE(drift.interval);
        EXPECT_GT(drift.cka, 0.9);
        EXPECT_GT(drift.neighbor_agreement, drift.random_agreement);
        EXPECT_GT(drift.subspace_overlap, drift.random_overlap);
    }
    EXPECT_GE(ranking[0].relative_change, ranking[3].relative_change);
    EXPECT_EQ(shared_basis(a, b, Component::resid_post).points.rows(), 2 * 4 * 64);
}

TEST(Compare, RefusesOtherTextsAndSaysWhere) {
    const TempFolder folder;
    const tomograph::Run a = capture_run(folder, "a", {});
    const Model model = Model::open("bytes-gpt2");
    folder.write("other.txt", std::string(600, 'x'));
    capture(model,
            text_prompts(model.vocabulary(), {.files = {folder / "other.txt"}, .sequences = 8, .length = 64}),
            folder / "b", {}, no_progress());
    const tomograph::Run b = Run::open(folder / "b");
    EXPECT_NE(error_of([&] {
                  compare_runs(a, b, {});
              }).find("the runs read different texts: sequence 0 differs at byte 0"),
              std::string::npos);
}

}  // namespace
}  // namespace tomograph
