// Outliers against a reference run.
#include "planted.h"
#include "support/errors.h"

namespace tomograph {
namespace {

using test::error_of;
using test::kDim;
using test::noise;
using test::RunSketch;
using test::TempFolder;
using test::white_run;

/// One layer of white noise with sequences of different spread, `odd` of its tokens moved.
RunSketch text_like(std::uint64_t seed, std::int64_t odd = 0, std::size_t sequences = 12) {
    RunSketch sketch = white_run();
    sketch.n_layers = 1;
    sketch.sites = test::block_sites({0}, {"attn_out"});
    sketch.lengths.assign(sequences, 25);
    sketch.value_of = [seed, odd](const std::string& site, std::int64_t token) -> Vector {
        const bool moved = token % 25 == 12 && token / 25 < odd;
        return noise(site, token, seed) +
               (moved ? Vector(Vector::Unit(kDim, 2) * 14) : Vector(Vector::Zero(kDim)));
    };
    return sketch;
}

MeasureReport against(const Run& reference, const RunSketch& sketch, std::uint64_t seed) {
    return test::measured(
        sketch, {.reference = &reference, .rows = 200, .bootstrap = 20, .seed = seed, .threads = 1});
}

TEST(Reference, OrdinaryTextFiresInNoMoreThanFivePercentOfSeeds) {
    constexpr int kSeeds = 60;
    const TempFolder folder;
    int fired = 0;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
        const auto name = std::to_string(seed);
        text_like(2 * seed + 100).write(folder / name);
        const tomograph::Run reference = Run::open(folder / name);
        fired += !failing(against(reference, text_like(2 * seed + 101), seed), {"outliers"}).empty();
    }
    EXPECT_LE(fired, kSeeds / 20);
}

TEST(Reference, PlantedTokensAreFound) {
    const TempFolder folder;
    text_like(1, 0, 60).write(folder / "reference");
    const tomograph::Run reference = Run::open(folder / "reference");
    const MeasureReport report = against(reference, text_like(2, 12), 42);
    ASSERT_TRUE(report.outlier_test);
    EXPECT_EQ(report.outlier_test->tested, 12 * 24);
    EXPECT_EQ(report.outlier_test->ordinary, 30 * 24) << "half of the reference fits the model";
    EXPECT_GE(report.outlier_test->found, 12);
    EXPECT_EQ(report.outlier_test->fewest, 8);  // 288 / (0.05 * 721)
    int hits = 0;
    for (const Outlier& outlier : report.outliers) hits += outlier.position == 12;
    EXPECT_EQ(hits, 12);
    EXPECT_EQ(failing(report, {"outliers"}), std::vector<std::string>{"outliers"});
    EXPECT_NE(findings_table(report).find("tokens stand out from"), std::string::npos);
}

TEST(Reference, SaysHowManyOddTokensItCouldTell) {
    const TempFolder folder;
    text_like(1).write(folder / "reference");
    const tomograph::Run reference = Run::open(folder / "reference");
    const MeasureReport report = against(reference, text_like(2, 12), 42);
    EXPECT_EQ(report.outlier_test->found, 0) << "half of twelve sequences is too short a reference";
    EXPECT_NE(findings_table(report).find("fewer than 40 odd tokens could not be told"), std::string::npos);
}

TEST(Reference, OfAnotherModelIsRefused) {
    const TempFolder folder;
    text_like(1).write(folder / "run");
    RunSketch other = text_like(2);
    other.edit = [](Json& run) {
        run["model"]["d_model"] = kDim;
        run["model"]["name"] = "another";
    };
    other.write(folder / "another");
    other = text_like(2);
    other.n_layers = 2;
    other.write(folder / "deep");
    other = text_like(2);
    other.lengths = {25};
    other.write(folder / "one");
    const auto why = [&](const char* name) {
        const tomograph::Run reference = Run::open(folder / name);
        return error_of([&] { against(reference, text_like(3), 1); });
    };
    EXPECT_NE(why("another").find("it is of another, the run of sketch"), std::string::npos)
        << why("another");
    EXPECT_NE(why("deep").find("it has 2 layers, the run 1"), std::string::npos) << why("deep");
    EXPECT_NE(why("one").find("it has one sequence"), std::string::npos) << why("one");
}

TEST(FailOn, OutliersNeedAReference) {
    EXPECT_NE(error_of([] { check_fail_on({"outliers"}, false); }).find("--reference RUN"),
              std::string::npos);
    EXPECT_NO_THROW(check_fail_on({"outliers"}, true));
    EXPECT_NO_THROW(check_fail_on({"rope_share:absent"}, false));
}

}  // namespace
}  // namespace tomograph
