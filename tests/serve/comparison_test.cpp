// A second run on the map of the first: which row is whose counterpart, and how far it is.
#include "tomograph/serve/comparison.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "support/errors.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"

namespace tomograph {
namespace {

using namespace test;

std::vector<float> numbers(const ColumnSet& set, const std::string& name) {
    const std::string& bytes = set.columns.at(name)->bytes;
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

class TwoRuns : public testing::Test {
  protected:
    TwoRuns() {
        b_.value_of = [a = a_](const std::string& site, std::int64_t token) -> Vector {
            // Layer 1 moves by 2, layer 2 by 1, layer 0 not.
            const float by =
                site.find(".1.") != std::string::npos ? 2 : site.find(".2.") != std::string::npos;
            Vector v = a.vector(site, token);
            v[0] += by;
            return v;
        };
    }
    /// Of all tokens' attention outputs in run a's basis; `edit` changes what is selected.
    ColumnSet compare(const std::function<void(Selection&)>& edit = {}) {
        a_.write(folder_ / "a");
        b_.write(folder_ / "b");
        run_a_.emplace(tomograph::Run::open(folder_ / "a"));
        run_b_.emplace(tomograph::Run::open(folder_ / "b"));
        ProjectionOptions options;
        options.dims = 3;
        options.selection.components = {Component::attn_out};
        if (edit) edit(options.selection);
        map_ = project_pca(*run_a_, "map", options);
        return comparison_columns(*run_a_, map_, select(*run_a_, selection_of(map_)), *run_b_);
    }

    RunSketch a_, b_;
    TempFolder folder_;
    std::optional<tomograph::Run> run_a_, run_b_;
    Projection map_;
};

TEST_F(TwoRuns, RowsAreAsFarAsTheyMoved) {
    const ColumnSet set = compare();
    EXPECT_EQ(set.header["n_matched"], 39);
    EXPECT_EQ(set.header["notes"], Json::array());
    const auto moved = numbers(set, "displacement");
    for (std::size_t i = 0; i < 39; ++i) {
        const int layer = map_.labels.layer[i];
        EXPECT_NEAR(moved[i], layer == 1 ? 2 : layer == 2 ? 1 : 0, 1e-5);
    }
}

TEST_F(TwoRuns, SitesAreRankedByTheirMovementFirstPositionsLeftOut) {
    const ColumnSet set = compare();
    const Json& sites = set.header["sites"];
    ASSERT_EQ(sites.size(), 3u);
    std::vector<int> order;
    for (const Json& site : sites) order.push_back(site["layer"].get<int>());
    EXPECT_EQ(order, (std::vector<int>{1, 2, 0}));
    double squares = 0;
    for (std::int64_t token = 0; token < 13; ++token) {
        if (a_.place(token).first > 0) squares += a_.vector("blocks.1.attn_out", token).squaredNorm();
    }
    EXPECT_EQ(sites[0]["rows"], 10);
    EXPECT_NEAR(sites[0]["length"].get<double>(), std::sqrt(squares / 10), 1e-5);
    EXPECT_NEAR(sites[0]["movement"].get<double>(), std::sqrt(4 * 10 / squares), 1e-5);
    EXPECT_NEAR(sites[2]["movement"].get<double>(), 0, 1e-6);
}

TEST_F(TwoRuns, ASampleIsComparedWholeThoughTheOtherRunIsAnotherSize) {
    b_.lengths = {5, 5, 3, 4};
    const ColumnSet set = compare([](Selection& selection) { selection.rows = 12; });
    EXPECT_EQ(set.header["n"], 12);
    EXPECT_EQ(set.header["n_matched"], 12);
    ASSERT_EQ(set.header["notes"].size(), 1u);
    EXPECT_NE(set.header["notes"][0].get<std::string>().find("same sequence and position"),
              std::string::npos);
}

TEST_F(TwoRuns, TokensThatEndAlikeAreCounterparts) {
    // "ab" is one token of the second run: its others come one position sooner.
    a_.lengths = {5};
    a_.pieces = {"a", "b", "c", "d", "e"};
    b_.lengths = {4};
    b_.pieces = {"ab", "c", "d", "e"};
    b_.token_ids = {7, 102, 103, 104};
    b_.value_of = [a = a_](const std::string& site, std::int64_t token) { return a.vector(site, token + 1); };
    const ColumnSet set = compare([](Selection& selection) { selection.positions = {1, {}}; });
    EXPECT_EQ(set.header["n_matched"], 4 * 3);
    for (const float moved : numbers(set, "displacement")) EXPECT_NEAR(moved, 0, 1e-6);
    EXPECT_NE(set.header["notes"][0].get<std::string>().find("end alike"), std::string::npos);
}

TEST_F(TwoRuns, WhatHasNoCounterpartIsNowhere) {
    b_.rows = {0, 1, 2, 3};
    const ColumnSet set = compare();
    EXPECT_EQ(set.header["n_matched"], 4 * 3);
    const auto moved = numbers(set, "displacement"), axis = numbers(set, "axis0");
    for (std::size_t i = 0; i < 39; ++i) {
        EXPECT_EQ(std::isnan(moved[i]), map_.labels.token[i] > 3);
        EXPECT_EQ(std::isnan(axis[i]), map_.labels.token[i] > 3);
    }
}

TEST_F(TwoRuns, AveragesAreComparedByTheirPlaces) {
    const ColumnSet set = compare([](Selection& selection) { selection.mean_samples = true; });
    EXPECT_EQ(set.header["n_matched"], 15);
    const auto moved = numbers(set, "displacement");
    for (std::size_t i = 0; i < 15; ++i)
        EXPECT_NEAR(moved[i], map_.labels.layer[i] == 1 ? 2 : map_.labels.layer[i] == 2 ? 1 : 0, 1e-5);
}

}  // namespace
}  // namespace tomograph
