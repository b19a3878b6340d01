// Where a layout starts decides what becomes of the whole. Planted groups, and the default start against the
// others.
#include <algorithm>
#include <cmath>

#include "support/reduce_golden.h"
#include "tomograph/maps/quality.h"
#include "tomograph/maps/umap.h"

namespace tomograph {
namespace {

using namespace test;

/// Groups in three families: groups of one family lie near each other, families far apart. A tenth of the
/// rows lies between two groups, so that the neighbours' graph is one piece.
struct Planted {
    static constexpr int families = 3, per_family = 4, groups = families * per_family;
    Planted(std::int64_t n, std::int64_t d, std::uint64_t seed) : rows(n, d), group(n) {
        Rng rng(seed);
        Matrix far(families, d), centers(groups, d);
        for (auto& value : far.reshaped()) value = static_cast<float>(1.5 * rng.normal());
        for (int g = 0; g < groups; ++g) {
            for (std::int64_t j = 0; j < d; ++j)
                centers(g, j) = far(g / per_family, j) + static_cast<float>(0.7 * rng.normal());
        }
        for (std::int64_t i = 0; i < n; ++i) {
            group[i] = static_cast<std::int32_t>(rng.below(groups));
            const auto other = static_cast<std::int64_t>(rng.below(groups));
            const auto share = static_cast<float>(i % 10 == 0 ? rng.uniform() : 0);
            rows.row(i) = (1 - share) * centers.row(group[i]) + share * centers.row(other);
            if (share > 0.5f) group[i] = static_cast<std::int32_t>(other);
            for (std::int64_t j = 0; j < d; ++j) rows(i, j) += static_cast<float>(0.25 * rng.normal());
        }
        for (const auto g : group) family.push_back(g / per_family);
    }
    Matrix rows;
    std::vector<std::int32_t> group, family;
};

struct Judged {
    std::string start;
    double trustworthiness, groups, families;
};

Judged judge(const Planted& planted, UmapOptions::Init init) {
    const Umap umap = fit_umap(MatrixRows(planted.rows), {.n_epochs = 200, .init = init, .seed = 3});
    return {umap.init, measure_quality(MatrixRows(planted.rows), umap.points).trustworthiness,
            silhouette(umap.points, planted.group), silhouette(umap.points, planted.family)};
}

/// The means of three plantings: where families come to lie is partly chance.
Judged judge(UmapOptions::Init init) {
    Judged mean{{}, 0, 0, 0};
    for (const std::uint64_t seed : {5, 6, 7}) {
        const Judged one = judge(Planted(2400, 24, seed), init);
        mean.start = one.start;
        mean.trustworthiness += one.trustworthiness / 3;
        mean.groups += one.groups / 3;
        mean.families += one.families / 3;
    }
    return mean;
}

TEST(UmapStart, MultilevelKeepsPlantedGroupsAndFamiliesAsTheOthersDo) {
    const Judged multilevel = judge(UmapOptions::Init::multilevel), pca = judge(UmapOptions::Init::pca),
                 spectral = judge(UmapOptions::Init::spectral);
    ASSERT_EQ(multilevel.start, "multilevel");
    ASSERT_EQ(pca.start, "pca");
    ASSERT_EQ(spectral.start, "spectral");
    for (const Judged& other : {pca, spectral}) {
        EXPECT_GT(multilevel.trustworthiness, other.trustworthiness - 0.005) << other.start;
        EXPECT_GT(multilevel.groups, other.groups - 0.01) << other.start;
    }
    // Families are the largest variance there is: PCA begins with them, graphs of neighbours know less of
    // them.
    EXPECT_GT(multilevel.families, spectral.families - 0.05);
    EXPECT_GT(multilevel.families, pca.families - 0.15);
    EXPECT_GT(multilevel.families, 0.3);
}

TEST(UmapStart, ARandomStartIsJudgedWorse) {
    const Planted planted(2400, 24, 5);
    const Umap umap = fit_umap(MatrixRows(planted.rows), {.n_epochs = 200, .seed = 3});
    const Matrix random = 5 * Matrix::Random(2400, 2);
    EXPECT_LT(measure_quality(MatrixRows(planted.rows), random).trustworthiness, 0.6);
    EXPECT_LT(silhouette(random, planted.group), silhouette(umap.points, planted.group) - 0.3);
}

TEST(UmapStart, IsPcaBelowAThousandRows) {
    const Planted few(800, 24, 6);
    EXPECT_EQ(judge(few, UmapOptions::Init::multilevel).start, "pca");
}

}  // namespace
}  // namespace tomograph
