// Axes that sites have in common, so that pictures that pool them lose nothing along theirs.
#include "tomograph/capture/shared_axes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/linear/pca.h"

namespace tomograph {
namespace {

constexpr std::int64_t kDim = 96, kRows = 600, kAxes = 24;

/// Rows about a mean of their own, most along directions of their own.
Matrix rows_of(int site) {
    Rng rng(static_cast<std::uint64_t>(site) + 7);
    Matrix axes(40, kDim), scores(kRows, 40);
    for (float* value = axes.data(); value != axes.data() + axes.size(); ++value)
        *value = static_cast<float>(rng.normal() / std::sqrt(double{kDim}));
    for (Eigen::Index i = 0; i < scores.rows(); ++i) {
        for (Eigen::Index j = 0; j < scores.cols(); ++j)
            scores(i, j) = static_cast<float>(rng.normal() / (1 + 0.1 * static_cast<double>(j)));
    }
    Matrix rows = scores * axes;
    Eigen::RowVectorXf mean(kDim);
    for (float& value : mean) value = static_cast<float>(rng.normal() * 0.4);
    rows.rowwise() += mean;
    return rows;
}

SketchPca::Axes fit(const Matrix& rows, std::int64_t k = kAxes) {
    SketchPca sketch(rows.cols(), k, 1);
    sketch.add(rows.data(), rows.rows());
    return sketch.finish();
}

class SharedAxes : public testing::Test {
  protected:
    SharedAxes() {
        for (int layer = 0; layer < 3; ++layer) {
            for (const Component component : {Component::attn_out, Component::mlp_out}) {
                sites_.push_back({{component, layer}, {kDim}});
                rows_.push_back(rows_of(static_cast<int>(rows_.size())));
                fitted_.push_back(fit(rows_.back()));
            }
        }
    }
    /// How much of the leading axes of all rows together, as unit vectors, lies along a site's: the least.
    double held(std::int64_t n) const {
        Matrix all(std::ssize(rows_) * kRows, kDim);
        for (std::size_t i = 0; i < rows_.size(); ++i)
            all.middleRows(static_cast<Eigen::Index>(i) * kRows, kRows) = rows_[i].rowwise().normalized();
        const Pca pooled = fit_pca(MatrixRows(all), {.n_components = static_cast<int>(n)});
        double least = 1;
        for (const SketchPca::Axes& axes : fitted_)
            least = std::min(
                least,
                double{(pooled.components * axes.components.transpose()).rowwise().squaredNorm().minCoeff()});
        return least;
    }
    std::vector<SiteShape> sites_;
    std::vector<Matrix> rows_;
    std::vector<SketchPca::Axes> fitted_;
};

TEST_F(SharedAxes, HoldThoseOfAllTogether) {
    EXPECT_LT(held(3), 0.4);
    share_axes(fitted_, sites_, kRows, kAxes, 1);
    EXPECT_GT(held(3), 0.99);
    for (std::size_t i = 0; i < fitted_.size(); ++i) {
        const Matrix& axes = fitted_[i].components;
        ASSERT_EQ(axes.rows(), kAxes);
        EXPECT_LT((axes * axes.transpose() - Matrix::Identity(kAxes, kAxes)).cwiseAbs().maxCoeff(), 1e-5);
        // Of its own it keeps the leading ones.
        const Matrix own = fit(rows_[i]).components.topRows(kAxes * 3 / 4 - 1);
        EXPECT_GT((own * axes.transpose()).rowwise().squaredNorm().minCoeff(), 0.99);
    }
}

TEST_F(SharedAxes, AreOfSitesThatAreLookedAtTogether) {
    sites_[4].site.component = Component::ln2;
    sites_[5].site.component = Component::resid_post;
    share_axes(fitted_, sites_, kRows, kAxes, 1);
    for (const std::size_t alone : {4, 5}) {  // their mean, and their own
        const Matrix& axes = fitted_[alone].components;
        const Matrix own = fit(rows_[alone]).components.topRows(kAxes - 1);
        EXPECT_GT((own * axes.transpose()).rowwise().squaredNorm().minCoeff(), 0.999);
        const Vector mean = fitted_[alone].mean.normalized();
        EXPECT_GT((axes * mean).squaredNorm(), 0.999);
    }
    const Matrix own = fit(rows_[3]).components.topRows(kAxes - 1);
    EXPECT_LT((own * fitted_[3].components.transpose()).rowwise().squaredNorm().minCoeff(), 0.9);
}

TEST_F(SharedAxes, LeaveAloneWhatIsHeldWhole) {
    fitted_[0] = fit(rows_[0].leftCols(kDim).topRows(5));  // four axes, of five rows
    const Matrix few = fitted_[0].components;
    share_axes(fitted_, sites_, kRows, kAxes, 1);
    EXPECT_EQ(fitted_[0].components, few);
    const std::vector<SketchPca::Axes> before = fitted_;
    share_axes(fitted_, sites_, kRows, 3, 1);  // too few to give any away
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(fitted_[i].components, before[i].components);
}

TEST_F(SharedAxes, OfNothingAreNothing) {
    for (SketchPca::Axes& axes : fitted_) axes = SketchPca(kDim, kAxes, 1).finish();
    share_axes(fitted_, sites_, 0, kAxes, 1);
    EXPECT_EQ(fitted_[0].components.rows(), 1);
}

}  // namespace
}  // namespace tomograph
