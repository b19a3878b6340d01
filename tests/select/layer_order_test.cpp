// Layers under other numbers, a control.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "select/select_rows.h"

namespace tomograph {
namespace {

using namespace test;

class SelectInOrder : public SelectRows {
  protected:
    std::vector<std::int32_t> layers_shown(LayerOrder order, std::uint64_t seed = 42) {
        Selection selection = attention();
        selection.layer_order = order;
        selection.seed = seed;
        const auto all = select(run(), selection).labels().layer;
        return {all[0], all[13], all[26]};
    }
};

TEST_F(SelectInOrder, ShowsLayersAsTheyAre) {
    EXPECT_EQ(layers_shown(LayerOrder::given), (std::vector<std::int32_t>{0, 1, 2}));
}

TEST_F(SelectInOrder, ShowsThemReversed) {
    EXPECT_EQ(layers_shown(LayerOrder::reversed), (std::vector<std::int32_t>{2, 1, 0}));
    EXPECT_EQ(layers_shown(LayerOrder::swapped), (std::vector<std::int32_t>{1, 0, 2}));
}

TEST_F(SelectInOrder, ShowsThemInAPermutation) {
    auto layers = layers_shown(LayerOrder::random);
    std::ranges::sort(layers);
    EXPECT_EQ(layers, (std::vector<std::int32_t>{0, 1, 2}));
}

TEST_F(SelectInOrder, ShowsTheSamePermutationByTheSameSeed) {
    EXPECT_EQ(layers_shown(LayerOrder::random, 9), layers_shown(LayerOrder::random, 9));
}

TEST_F(SelectInOrder, ShowsSomeOtherPermutationByOtherSeeds) {
    std::set<std::vector<std::int32_t>> seen;
    for (std::uint64_t seed = 0; seed < 40; ++seed) seen.insert(layers_shown(LayerOrder::random, seed));
    EXPECT_EQ(seen.size(), 6u);
}

TEST_F(SelectInOrder, ChangesNumbersOnly) {
    Selection given = attention(), reversed = attention();
    reversed.layer_order = LayerOrder::reversed;
    EXPECT_EQ(read_all(select(run(), given)), read_all(select(run(), reversed)));
}

TEST_F(SelectInOrder, ChoosesTheSameLayersByTheirOwnNumbers) {
    Selection selection = attention();
    selection.layers = {0, 1};
    selection.layer_order = LayerOrder::reversed;
    const SelectedRows rows = select(run(), selection);
    EXPECT_EQ(rows.labels().layer.front(), 2);
    EXPECT_EQ(Vector(read_all(rows).row(0)), sketch_.vector("blocks.0.attn_out", 0));
}

TEST_F(SelectInOrder, KeepsTheLayersOwnNumbersBeside) {
    Selection selection = attention();
    selection.layer_order = LayerOrder::reversed;
    const SelectedRows rows = select(run(), selection);
    ASSERT_TRUE(rows.labels().renumbered());
    EXPECT_EQ(rows.labels().layer[0], 2);
    EXPECT_EQ(rows.labels().site(0), (Site{Component::attn_out, 0}));
    EXPECT_EQ(rows.labels().site(13), (Site{Component::attn_out, 1}));
    EXPECT_EQ(rows.describe(0), "blocks.0.attn_out, token 0 (sequence 0, position 0)");
}

TEST_F(SelectInOrder, KeepsThemOfAverages) {
    Selection selection = attention();
    selection.layer_order = LayerOrder::reversed;
    selection.mean_samples = true;
    const SelectedRows rows = select(run(), selection);
    for (std::int64_t row = 0; row < rows.n_rows(); ++row) {
        const Site site = rows.labels().site(row);
        EXPECT_EQ(rows.labels().layer[static_cast<std::size_t>(row)], 2 - site.layer);
        Selection alone = attention();
        alone.mean_samples = true;
        alone.layers = {site.layer, site.layer + 1};
        const auto position = rows.labels().position[static_cast<std::size_t>(row)];
        alone.positions = {position, position + 1};
        EXPECT_EQ(read_all(select(run(), alone)).row(0), read_all(rows).row(row)) << rows.describe(row);
    }
}

TEST_F(SelectInOrder, GivesNoSecondNumbersWhereThereIsOneOrder) {
    EXPECT_FALSE(select(run(), attention()).labels().renumbered());
}

TEST_F(SelectInOrder, LabelsOfSomeRowsAreTheirs) {
    Selection selection = attention();
    selection.layer_order = LayerOrder::reversed;
    const RowLabels all = select(run(), selection).labels(), some = all.of({38, 0, 14});
    ASSERT_EQ(some.size(), 3);
    EXPECT_EQ(some.site(0), (Site{Component::attn_out, 2}));
    EXPECT_EQ(some.layer, (std::vector<std::int32_t>{0, 2, 1}));
    EXPECT_EQ(some.token, (std::vector<std::int32_t>{12, 0, 1}));
    EXPECT_EQ(some.position, (std::vector<std::int32_t>{2, 0, 1}));
    EXPECT_EQ(some.sequence, (std::vector<std::int32_t>{2, 0, 0}));
    EXPECT_EQ(some.norm[1], all.norm[0]);
}

}  // namespace
}  // namespace tomograph
