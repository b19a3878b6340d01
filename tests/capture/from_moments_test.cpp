// What follows from a run's moments and scores alone, against its vectors.
#include "capture/capture_support.h"
#include "tomograph/linear/pca.h"
#include "tomograph/select/selected_moments.h"
#include "tomograph/store/basis.h"
#include "tomograph/store/merge.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

class FromMoments : public CaptureShards {
  protected:
    static CaptureOptions keeping(const Keep& keep) {
        CaptureOptions how = one_batch_a_shard();
        how.keep = keep;
        return how;
    }
    tomograph::Run take_as(const std::string& name, const CaptureOptions& how) {
        capture(model_, prompts_, folder_ / name, how, no_progress());
        return open_run(folder_ / name);
    }
    static Selection outputs() {
        Selection selection;
        selection.components = {Component::attn_out, Component::mlp_out};
        return selection;
    }
    static double apart(const MatrixD& a, const MatrixD& b) { return (a - b).norm() / b.norm(); }
};

TEST_F(FromMoments, AreThoseOfTheRows) {
    const auto run = take_as("run", keeping({.moments = true}));
    const SelectedMoments known = select_moments(run, outputs());
    const Moments rows = compute_moments(select(run, outputs()));
    EXPECT_EQ(known.moments.count, rows.count);
    EXPECT_LT((known.moments.mean - rows.mean).norm(), 1e-6 * rows.mean.norm());
    EXPECT_LT(apart(known.moments.comoment, rows.comoment), 1e-5);
    EXPECT_NEAR(known.total_variance, rows.covariance().trace(), 1e-5 * known.total_variance);
    EXPECT_EQ(known.sites.size(), static_cast<std::size_t>(known.site_means.rows()));
    Selection one = outputs();
    one.components = {known.sites.back().component};
    one.layers = {known.sites.back().layer, known.sites.back().layer + 1};
    const VectorD mean = compute_moments(select(run, one)).mean;
    EXPECT_LT((known.site_means.row(known.site_means.rows() - 1).cast<double>().transpose() - mean).norm(),
              1e-5 * mean.norm());
}

TEST_F(FromMoments, OfPartsMergedAreThoseOfAWhole) {
    for (const Keep& keep : {Keep{.moments = true}, Keep{.moments = true, .scores = 5}}) {
        const std::string name = "of-" + std::to_string(keep.scores);
        const auto whole = take_as(name, keeping(keep));
        std::vector<fs::path> parts;
        for (int number = 1; number <= 3; ++number) {
            CaptureOptions how = keeping(keep);
            how.part = {number, 3};
            parts.push_back(folder_ / (name + "-" + std::to_string(number)));
            capture(model_, prompts_, parts.back(), how, no_progress());
        }
        merge_runs(parts, folder_ / (name + "-merged"), {}, no_progress());
        const auto merged = open_run(folder_ / (name + "-merged"));
        const SelectedMoments a = select_moments(merged, outputs()), b = select_moments(whole, outputs());
        EXPECT_EQ(a.moments.count, b.moments.count);
        EXPECT_LT(apart(a.moments.comoment, b.moments.comoment), 1e-9);
        EXPECT_NEAR(a.total_variance, b.total_variance, 1e-9 * b.total_variance);
        const Pca of_merged = fit_pca(a.moments), of_whole = fit_pca(b.moments);
        EXPECT_LT((of_merged.explained_variance - of_whole.explained_variance).norm(),
                  1e-9 * of_whole.explained_variance.norm());
        EXPECT_LT((of_merged.components - of_whole.components).cwiseAbs().maxCoeff(), 1e-5);
    }
}

// Scores leave something out of the spread along axes, and nothing out of the whole.
TEST_F(FromMoments, OfScoresAreOfWhatTheyStandFor) {
    const auto scores = take_as("scores", keeping({.moments = true, .scores = 5}));
    const auto vectors = take_as("vectors", keeping({}));
    const SelectedMoments known = select_moments(scores, outputs());
    const Moments of_scores = compute_moments(select(scores, outputs()));
    const Moments of_vectors = compute_moments(select(vectors, outputs()));
    EXPECT_LT(apart(known.moments.comoment, of_scores.comoment),
              1e-2);  // within-site means of what is left out
    EXPECT_NEAR(known.total_variance, of_vectors.covariance().trace(), 1e-5 * known.total_variance);
    EXPECT_LT(known.moments.covariance().trace(), known.total_variance);
    EXPECT_LT((known.moments.mean - of_vectors.mean).norm(), 1e-5 * of_vectors.mean.norm());
}

TEST_F(FromMoments, AreRefusedWhereTheyDoNotSay) {
    const auto run = take_as("run", keeping({.moments = true}));
    Selection unit = outputs();
    unit.normalize = Normalize::unit;
    EXPECT_EQ(
        error_of([&] { select_moments(run, unit); }),
        "moments are of the vectors as they are: what normalising makes of them is not known from it; leave "
        "out --normalize, or fit to the rows");
    const auto without = take_as("without", keeping({}));
    EXPECT_EQ(error_of([&] { select_moments(without, outputs()); }),
              (folder_ / "without").string() +
                  " keeps no moments: it was captured without them; capture it with --keep moments");
}

// A unit vector's coordinates along the axes are what scores hold of it, however much lies beyond them.
TEST_F(FromMoments, UnitVectorsOfScoresHaveTheVectorsLengths) {
    const auto scores = take_as("scores", keeping({.scores = 3}));
    const auto vectors = take_as("vectors", keeping({}));
    double shorter = 0, clipped = 0, all = 0;
    for (const SiteShape& site : scores.sites()) {
        if (site.site.component != Component::attn_out && site.site.component != Component::mlp_out) continue;
        const SiteBasis axes = basis_of(folder_ / "scores", {site}).sites[0];
        Selection selection;
        selection.components = {site.site.component};
        selection.layers = {site.site.layer, site.site.layer + 1};
        selection.normalize = Normalize::unit;
        const SelectedRows of_scores = select(scores, selection), of_vectors = select(vectors, selection);
        Matrix a(of_scores.n_rows(), of_scores.dim()), b(of_vectors.n_rows(), of_vectors.dim());
        of_scores.read(0, a.rows(), a.data());
        of_vectors.read(0, b.rows(), b.data());
        for (Eigen::Index i = 0; i < a.rows(); ++i) {
            const float length = a.row(i).norm();
            EXPECT_LE(length, 1 + 1e-5f);
            all += 1;
            shorter += length < 0.99f;
            // What stands for a vector may be longer than it is; it is a unit vector then.
            clipped += length > 1 - 1e-5f;
            if (length > 1 - 1e-5f) continue;
            EXPECT_LT(((a.row(i) - b.row(i)) * axes.components.transpose()).cwiseAbs().maxCoeff(), 2e-5)
                << site.site.name();
        }
        selection.mean_samples = true;
        const SelectedRows averages = select(scores, selection);
        Matrix means(averages.n_rows(), averages.dim());
        averages.read(0, means.rows(), means.data());
        ASSERT_EQ(means.rows(), 2);  // positions
        for (Eigen::Index p = 0; p < 2; ++p) {
            Eigen::RowVectorXf mean = Eigen::RowVectorXf::Zero(a.cols());
            for (Eigen::Index i = p; i < a.rows(); i += 2)
                mean += a.row(i) * (2.0f / static_cast<float>(a.rows()));
            EXPECT_LT((means.row(p) - mean).norm(), 1e-4);
        }
    }
    EXPECT_GT(shorter, 0.2 * all);
    EXPECT_LT(clipped, 0.2 * all);
}

}  // namespace
}  // namespace tomograph
