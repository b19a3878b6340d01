#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "capture/capture_support.h"
#include "tomograph/capture/budget.h"
#include "tomograph/linear/pca.h"
#include "tomograph/select/selection.h"
#include "tomograph/store/layout.h"
#include "tomograph/store/merge.h"
#include "tomograph/store/safetensors.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

/// What is kept beside vectors or in their place.
class CaptureKeep : public CaptureShards {
  protected:
    static CaptureOptions keeping(const Keep& keep, std::int64_t shard_bytes = 1) {
        CaptureOptions how = options();
        how.keep = keep;
        how.shard_bytes = shard_bytes;
        return how;
    }
    /// The vectors themselves, and what else is kept of them.
    struct Twins {
        tomograph::Run vectors, other;
    };
    Twins take_twins(const CaptureOptions& how) {
        auto vectors = take(options());
        capture(model_, prompts_, folder_ / "other", how, no_progress());
        return {std::move(vectors), open_run(folder_ / "other")};
    }
};

/// Largest difference of two numbers, of the largest.
double relative(const MatrixD& a, const MatrixD& b) {
    return (a - b).cwiseAbs().maxCoeff() / b.cwiseAbs().maxCoeff();
}

TEST_F(CaptureKeep, MomentsAreThoseOfTheVectors) {
    const auto [vectors, other] = take_twins(keeping({.moments = true}));
    ASSERT_TRUE(other.has_moments());
    for (const SiteShape& site : vectors.sites()) {
        const Matrix rows = rows_of_site(vectors, site);
        const MatrixD wide = rows.cast<double>();
        const VectorD mean = wide.colwise().mean().transpose();
        const MatrixD centered = wide.rowwise() - mean.transpose();
        const SiteMoments moments = other.moments(site.site);
        EXPECT_EQ(moments.count, 1200);
        EXPECT_LE((moments.mean - mean).norm(), 1e-6 * (1 + mean.norm())) << site.site.name();
        EXPECT_LE(relative(moments.comoment, centered.transpose() * centered), 1e-5) << site.site.name();
        EXPECT_EQ(rows_of_site(other, site), rows) << site.site.name();
    }
    EXPECT_TRUE(verify_run(folder_ / "other", no_progress()).faults.empty());
}

TEST_F(CaptureKeep, MomentsDoNotDependOnShardsAndParts) {
    for (const std::int64_t scores : {0, 6}) {
        const Keep keep{.moments = true, .scores = scores};
        capture(model_, prompts_, folder_ / "one", keeping(keep, 256'000'000), no_progress());
        std::vector<fs::path> parts;
        for (int number = 1; number <= 3; ++number) {
            CaptureOptions how = keeping(keep);
            how.part = {number, 3};
            parts.push_back(folder_ / ("part-" + std::to_string(number)));
            capture(model_, prompts_, parts.back(), how, no_progress());
        }
        merge_runs(parts, folder_ / "merged", {}, no_progress());
        const auto one = open_run(folder_ / "one"), merged = open_run(folder_ / "merged");
        for (const SiteShape& site : one.sites()) {
            const SiteMoments a = one.moments(site.site), b = merged.moments(site.site);
            EXPECT_EQ(a.count, b.count);
            EXPECT_LE(relative(b.mean, a.mean), 1e-9) << site.site.name();
            EXPECT_LE(relative(b.squares, a.squares), 1e-9) << site.site.name();
            EXPECT_LE(relative(b.comoment, a.comoment), 1e-9) << site.site.name();
            EXPECT_EQ(rows_of_site(one, site), rows_of_site(merged, site)) << site.site.name();
        }
        EXPECT_TRUE(verify_run(folder_ / "merged", no_progress()).faults.empty());
        for (const char* name : {"one", "merged", "part-1", "part-2", "part-3"})
            fs::remove_all(folder_ / name);
    }
}

TEST_F(CaptureKeep, ScoresStandForTheVectors) {
    CaptureOptions how = keeping({.scores = 12});
    how.dtype = std::nullopt;
    const auto [vectors, other] = take_twins(how);
    EXPECT_TRUE(other.has_scores());
    for (const SiteShape& site : vectors.sites()) {
        ASSERT_TRUE(other.has_vectors(site.site));
        const Matrix want = rows_of_site(vectors, site), got = rows_of_site(other, site);
        const auto residuals = other.residuals(site.site);
        const Vector mean = want.colwise().mean().transpose();
        const float spread = (want.rowwise() - mean.transpose()).norm();
        // As much is left out as is said to be, and the scores themselves are right.
        double left = 0, said = 0;
        for (Eigen::Index i = 0; i < want.rows(); ++i) {
            left += (want.row(i) - got.row(i)).squaredNorm();
            said += std::pow(residuals[static_cast<std::size_t>(i)], 2);
        }
        EXPECT_NEAR(std::sqrt(left), std::sqrt(said), 1e-3 * spread) << site.site.name();
        EXPECT_LT(std::sqrt(left), 0.9 * spread) << site.site.name();
        EXPECT_EQ(other.norms(site.site), vectors.norms(site.site)) << site.site.name();
        EXPECT_LE((other.means(site.site) - means_by_position(got, other.tokens(), 2, -1)).norm(),
                  1e-4f * spread)
            << site.site.name();
    }
}

TEST_F(CaptureKeep, AsManyScoresAsTheSiteIsWideAreTheVectors) {
    const auto [vectors, other] = take_twins(keeping({.scores = 4096}));
    for (const SiteShape& site : vectors.sites()) {
        const Matrix want = rows_of_site(vectors, site);
        EXPECT_LE((rows_of_site(other, site) - want).norm(), 2e-3f * want.norm()) << site.site.name();
    }
}

// Of a model that was trained: the axes of one that was not have no order. Pooled over layers, what an axis
// of all of them has outside a layer's own 64 of 128 is lost.
TEST_F(CaptureKeep, ScoresShowThePointsOfTheVectors) {
    model_ = Model::open("bytes-llama");
    prompts_ = text_prompts(model_.vocabulary(), {.sequences = 24, .length = 64});
    CaptureOptions how = keeping({.scores = 64});
    how.dtype = std::nullopt;
    const auto [vectors, other] = take_twins(how);
    for (const Component component : {Component::attn_out, Component::resid_post}) {
        Selection selection;
        selection.components = {component};
        const Pca pca = fit_pca(select(vectors, selection), {.n_components = 2});
        const Pca same = fit_pca(select(other, selection), {.n_components = 2});
        const Matrix points = transform(pca, select(vectors, selection));
        const Matrix shown = transform(same, select(other, selection));
        const float range = points.maxCoeff() - points.minCoeff();
        EXPECT_LE((points - shown).cwiseAbs().maxCoeff(), 2e-2f * range) << component_name(component);
    }
}

TEST_F(CaptureKeep, MeansOfASampleAreThoseOfEveryToken) {
    CaptureOptions how = keeping({.scores = 4096});
    how.sample = 0.3;
    const auto [vectors, other] = take_twins(how);
    EXPECT_LT(other.n_rows(), 600);
    for (const SiteShape& site : vectors.sites()) {
        const Matrix want = vectors.means(site.site);
        EXPECT_LE((other.means(site.site) - want).norm(), 2e-3f * (1 + want.norm())) << site.site.name();
    }
}

TEST_F(CaptureKeep, SumsAreWrittenWhereVectorsDoNotSayThem) {
    CaptureOptions how = options();
    how.vectors = false;
    const auto [vectors, other] = take_twins(how);
    for (const SiteShape& site : vectors.sites()) {
        const std::string tensor = layout::sums_tensor(site.site.name());
        EXPECT_FALSE(Safetensors(out() / layout::stats_file(0)).contains(tensor)) << tensor;
        EXPECT_TRUE(Safetensors(folder_ / "other" / layout::stats_file(0)).contains(tensor)) << tensor;
        EXPECT_TRUE(vectors.has_means(site.site) && other.has_means(site.site));
        const Matrix want = other.means(site.site);
        EXPECT_LE((vectors.means(site.site) - want).norm(), 1e-3f * (1 + want.norm())) << site.site.name();
    }
}

TEST_F(CaptureKeep, WithoutMeansAndAllVectorsSaysSo) {
    CaptureOptions how = keeping({.means = false});
    how.sample = 0.5;
    const auto [vectors, other] = take_twins(how);
    const SiteShape site = vectors.sites().back();
    EXPECT_FALSE(other.has_means(site.site));
    EXPECT_EQ(error_of([&] { (void)other.means(site.site); }),
              (folder_ / "other").string() +
                  " keeps no means by position: it was captured without them; capture it with --keep means");
    EXPECT_NE(error_of([&] { (void)other.moments(site.site); }), "");
}

TEST_F(CaptureKeep, IsResumedToTheSameBytes) {
    const CaptureOptions how = keeping({.moments = true, .scores = 5});
    capture(model_, prompts_, out(), how, no_progress());
    const auto want = files_of(out());
    for (const char* lost : {"shards/000001.json", "basis.safetensors"}) {
        fs::remove(out() / lost);
        fs::remove(out() / "run.json");
        CaptureOptions again = how;
        again.begin = Begin::resume;
        capture(model_, prompts_, out(), again, no_progress());
        EXPECT_EQ(files_of(out()), want) << lost;
    }
}

TEST_F(CaptureKeep, AnotherRunsAxesServe) {
    const Keep keep{.scores = 5};
    capture(model_, prompts_, folder_ / "first", keeping(keep), no_progress());
    prompts_.sequences.resize(300);
    prompts_.description["sequences"] = 300;
    Keep same = keep;
    same.axes_of = folder_ / "first";
    take(keeping(same));
    EXPECT_EQ(read_file(out() / "basis.safetensors"), read_file(folder_ / "first" / "basis.safetensors"));
    same.axes_of = folder_ / "nothing";
    CaptureOptions how = keeping(same);
    how.begin = Begin::replace;
    EXPECT_EQ(error(how).find("no axes in "), 0u) << error(how);
}

TEST_F(CaptureKeep, CostsWhatThePlanSays) {
    for (const Keep& keep : {Keep{}, Keep{.moments = true, .scores = 8}, Keep{.means = false, .scores = 3}}) {
        const CaptureOptions how = keeping(keep, 100'000);
        const auto engine = model_.make_engine(engine_options(prompts_, how, no_progress()));
        const CaptureCost cost = capture_cost(*engine, model_.info(), prompts_, how);
        fs::remove_all(out());
        take(how);
        double bytes = 0;
        for (const auto& [name, content] : files_of(out())) {
            // Headers and manifests are hundreds of bytes a shard, which only here is anything.
            if (name.ends_with(".safetensors")) bytes += static_cast<double>(content.size());
        }
        EXPECT_GT(bytes, 0.8 * cost.disk);
        EXPECT_LT(bytes, 1.6 * cost.disk);
    }
}

TEST_F(CaptureKeep, IsChosenWithinABudget) {
    CaptureOptions how = keeping({}, 100'000);
    const auto engine = model_.make_engine(engine_options(prompts_, how, no_progress()));
    const auto cost_of = [&](const Keep& keep) {
        how.keep = keep;
        return capture_cost(*engine, model_.info(), prompts_, how).disk;
    };
    const double all = cost_of({}), least = cost_of({.means = false, .scores = 2});
    double last = 0;
    for (const double disk : {1.01 * least, 0.5 * (least + all), 1.01 * all}) {
        how.keep = {};
        const Keep keep = keep_within({.disk = disk}, *engine, model_.info(), prompts_, how);
        const double takes = cost_of(keep);
        EXPECT_LE(takes, disk);
        EXPECT_GE(takes, last);
        last = takes;
    }
    EXPECT_EQ(how.keep.scores, 0);
    how.keep = {};
    EXPECT_EQ(error_of([&] {
                  keep_within({.disk = 1000}, *engine, model_.info(), prompts_, how);
              }).find("nothing fits the budget: two scores of each vector take "),
              0u);
}

}  // namespace
}  // namespace tomograph
