#include "tomograph/store/site_moments.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/random.h"

namespace tomograph {
namespace {

using namespace test;

MatrixD random_rows(std::int64_t n, std::int64_t d, std::uint64_t seed) {
    Rng random(seed);
    MatrixD rows(n, d);
    for (std::int64_t i = 0; i < n * d; ++i) rows.data()[i] = 100 + random.normal();
    return rows;
}

SiteMoments moments_of(const MatrixD& rows) {
    SiteMoments moments{.count = rows.rows(), .mean = rows.colwise().mean().transpose()};
    const MatrixD centered = rows.rowwise() - moments.mean.transpose();
    const MatrixD product = centered.transpose() * centered;
    // Its halves may differ in the last bit, and one is kept.
    moments.comoment = product.selfadjointView<Eigen::Lower>();
    moments.squares = moments.comoment.diagonal();
    return moments;
}

void expect_near(const SiteMoments& a, const SiteMoments& b) {
    EXPECT_EQ(a.count, b.count);
    EXPECT_LE((a.mean - b.mean).norm(), 1e-12 * b.mean.norm());
    EXPECT_LE((a.squares - b.squares).norm(), 1e-11 * b.squares.norm());
    EXPECT_LE((a.comoment - b.comoment).norm(), 1e-11 * b.comoment.norm());
}

TEST(SiteMoments, MergeToThoseOfAllRows) {
    const MatrixD rows = random_rows(90, 5, 1);
    SiteMoments merged;
    merged.merge({});
    for (const auto& [begin, n] : {std::pair{0, 1}, std::pair{1, 60}, std::pair{61, 29}})
        merged.merge(moments_of(rows.middleRows(begin, n)));
    merged.merge({.count = 0, .mean = VectorD::Zero(5)});
    expect_near(merged, moments_of(rows));
}

TEST(SiteMoments, OfScoresMergeLikewise) {
    const MatrixD rows = random_rows(40, 6, 2), scores = random_rows(40, 2, 3);
    const auto of = [&](std::int64_t begin, std::int64_t n) {
        SiteMoments moments = moments_of(rows.middleRows(begin, n));
        const SiteMoments inner = moments_of(scores.middleRows(begin, n));
        moments.comoment = inner.comoment;
        moments.score_mean = inner.mean;
        return moments;
    };
    SiteMoments merged = of(0, 15);
    merged.merge(of(15, 25));
    expect_near(merged, of(0, 40));
    EXPECT_LE((merged.score_mean - of(0, 40).score_mean).norm(), 1e-10);
}

TEST(SiteMoments, AreReadAsTheyWereWritten) {
    const TempFolder folder;
    const SiteShape site{parse_site("blocks.1.attn_out").value(), {5}};
    const SiteMoments moments = moments_of(random_rows(9, 5, 4));
    SafetensorsWriter writer(folder / "moments", moments_specs(site.site.name(), 5, 0));
    write_moments(writer, 0, moments);
    writer.finish();
    const Safetensors file(folder / "moments", Safetensors::Types::any);
    const SiteMoments read = read_moments(file, site, 0);
    EXPECT_EQ(read.count, 9);
    EXPECT_EQ(read.mean, moments.mean);
    EXPECT_EQ(read.comoment, moments.comoment);
    EXPECT_EQ(error_of([&] { read_moments(file, site, 3); }),
              (folder / "moments").string() +
                  " does not fit its run: it holds no moments of blocks.1.attn_out; capture it again");
    const SiteShape other{parse_site("embed").value(), {5}};
    EXPECT_NE(error_of([&] { read_moments(file, other, 0); }), "");
}

}  // namespace
}  // namespace tomograph
