// From one group of a map's points to another.
#include "tomograph/serve/directions.h"

#include <gtest/gtest.h>

#include <numeric>

#include "served_run.h"
#include "support/errors.h"
#include "tomograph/base/random.h"

namespace tomograph {
namespace {

using namespace test;

const Site kSite{Component::mlp_out, 2};

class DirectionsOnAMap : public testing::Test {
  protected:
    using Run = tomograph::Run;  // and not gtest's
    Catalog catalog_{{ServedRun::instance().path()}};
    std::shared_ptr<const MapRows> map_ = catalog_.rows(0, "pair");

    /// Rows at the site whose position passes.
    template <typename Passes>
    std::vector<std::int64_t> rows(const Passes& passes, Site site = kSite) const {
        const RowLabels& labels = map_->rows.labels();
        std::vector<std::int64_t> found;
        for (std::int64_t row = 0; row < map_->rows.n_rows(); ++row)
            if (labels.site(row) == site && passes(labels.position[static_cast<std::size_t>(row)]))
                found.push_back(row);
        return found;
    }
    std::vector<std::int64_t> early() const {
        return rows([](int p) { return p > 0 && p < 9; });
    }
    std::vector<std::int64_t> late() const {
        return rows([](int p) { return p > 20; });
    }
    std::string refused(const std::vector<std::int64_t>& toward,
                        const std::vector<std::int64_t>& away) const {
        return error_of([&] { find_direction(*map_, kSite, toward, away); });
    }
};

TEST_F(DirectionsOnAMap, IsTheDifferenceOfTheMeansAsCaptured) {
    const auto toward = early(), away = late();
    const FoundDirection found = find_direction(*map_, kSite, toward, away);
    const auto mean = [&](const std::vector<std::int64_t>& of) {
        VectorD sum = VectorD::Zero(map_->run->d_model());
        Vector row(map_->run->d_model());
        for (const std::int64_t r : of) {
            const std::int64_t token = map_->rows.labels().token[static_cast<std::size_t>(r)];
            map_->run->read_rows(kSite, token, token + 1, row.data());
            sum += row.cast<double>();
        }
        return VectorD(sum / static_cast<double>(of.size()));
    };
    const VectorD wanted = mean(toward) - mean(away);
    EXPECT_LT((found.direction.cast<double>() - wanted).norm(), 1e-5 * wanted.norm());
    EXPECT_EQ(found.n_toward, std::ssize(toward));
    EXPECT_GT(found.mean_norm, 0);
    EXPECT_GT(found.held_out, 0.5);
}

TEST_F(DirectionsOnAMap, GroupsThatAreOneAreToldApartByChance) {
    // Every other row, whatever it is: halves of such groups say nothing of one another.
    const auto all = rows([](int p) { return p > 0; });
    std::vector<std::int64_t> a, b;
    for (std::size_t i = 0; i < all.size(); ++i) (mix(i) % 2 == 0 ? a : b).push_back(all[i]);
    EXPECT_NEAR(find_direction(*map_, kSite, a, b).held_out, 0.5, 0.2);
}

TEST_F(DirectionsOnAMap, WhatIsNoGroupIsRefused) {
    const auto toward = early(), away = late();
    EXPECT_EQ(refused({toward[0], toward[1]}, away),
              "2 points to lead toward at blocks.2.mlp_out: a mean needs 4; select more points");
    EXPECT_NE(refused(toward, {away[0]}).find("1 point to lead away from"), std::string::npos);
    EXPECT_NE(refused(toward, toward).find("in both groups"), std::string::npos);
    EXPECT_NE(refused({0, 1, 2, 3}, away).find("point 0 is of blocks.0.attn_out"), std::string::npos);
    EXPECT_NE(refused({-1, 1, 2, 3}, away).find("no such point"), std::string::npos);
    std::vector<std::int64_t> many(kMostOfGroup + 1);
    std::iota(many.begin(), many.end(), 0);
    EXPECT_NE(refused(many, away).find("2000 are read at most"), std::string::npos);
}

TEST_F(DirectionsOnAMap, RequestIsReadWithCare) {
    Directions directions(catalog_);
    const Json good = {{"run", 0},   {"projection", "pair"}, {"component", "mlp_out"},
                       {"layer", 2}, {"toward", early()},    {"away", late()}};
    const Json found = directions.find(good);
    EXPECT_EQ(found.at("site"), "blocks.2.mlp_out");
    EXPECT_EQ(directions.get(found.at("id"))->site, kSite);
    const auto with = [&](const char* key, const Json& value) {
        Json request = good;
        request[key] = value;
        return error_of([&] { directions.find(request); });
    };
    EXPECT_NE(with("layer", 1.5).find("cannot be read"), std::string::npos);
    EXPECT_NE(with("layer", 1).find("is of blocks.2.mlp_out"), std::string::npos);
    EXPECT_NE(with("component", "soul").find("no component 'soul'"), std::string::npos);
    EXPECT_NE(with("projection", "../pair"), "");
    EXPECT_NE(with("toward", "all"), "");
    EXPECT_NE(with("toward", Json::array({1, "x"})).find("cannot be read"), std::string::npos);
    EXPECT_NE(with("version", "old").find("made anew"), std::string::npos);
    EXPECT_NE(with("run", 5).find("no run 5"), std::string::npos);
    EXPECT_NE(error_of([&] { directions.find(Json::array()); }), "");
    EXPECT_NE(error_of([&] { directions.get(99); }).find("not at hand"), std::string::npos);
}

TEST_F(DirectionsOnAMap, AveragesHaveNone) {
    const Run run = Run::open(ServedRun::instance().path());
    ProjectionOptions options;
    options.selection.components = {Component::mlp_out};
    options.selection.mean_samples = true;
    catalog_.keep(0, std::make_shared<const Projection>(project_pca(run, "mean", options)));
    const auto map = catalog_.rows(0, "mean");
    EXPECT_NE(error_of([&] { find_direction(*map, kSite, {0, 1, 2, 3}, {4, 5, 6, 7}); }).find("averages"),
              std::string::npos);
}

}  // namespace
}  // namespace tomograph
