// Averages, against the same by hand, and those of a run that keeps means only.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "select/select_rows.h"

namespace tomograph {
namespace {

using namespace test;

/// Component, layer, position, sequence.
using Group = std::tuple<Component, int, int, int>;

std::map<Group, VectorD> averages_by_hand(const RunSketch& sketch, const Selection& selection) {
    std::map<Group, VectorD> sums;
    std::map<Group, int> counts;
    for (const SketchSite& sketched : sketch.sites) {
        const Site site = parse_site(sketched.name).value();
        if (std::ranges::find(selection.components, site.component) == selection.components.end()) continue;
        if (site.layer >= 0 && !selection.layers.contains(site.layer, sketch.n_layers)) continue;
        for (const std::int32_t token : sketch.kept()) {
            const auto [position, sequence] = sketch.place(token);
            if (!selection.positions.contains(position, sketch.lengths[static_cast<std::size_t>(sequence)]) ||
                !selection.sequences.contains(sequence, std::ssize(sketch.lengths)))
                continue;
            VectorD row = sketch.vector(sketched.name, token).cast<double>();
            if (selection.normalize == Normalize::layernorm) row.array() -= row.mean();
            if (selection.normalize == Normalize::unit) row /= row.norm();
            if (selection.normalize == Normalize::layernorm)
                row /= std::sqrt(row.squaredNorm() / static_cast<double>(row.size()));
            const Group group{site.component, selection.mean_layers ? -1 : site.layer,
                              selection.mean_positions ? -1 : position,
                              selection.mean_samples ? -1 : sequence};
            if (!sums.contains(group)) sums[group] = VectorD::Zero(row.size());
            sums[group] += row;
            ++counts[group];
        }
    }
    for (auto& [group, sum] : sums) sum /= counts[group];
    return sums;
}

struct Averages {
    bool samples, positions, layers;
    Normalize normalize;
};

class SelectAverages : public SelectRows, public testing::WithParamInterface<Averages> {
  protected:
    SelectAverages() {
        selection_ = of({Component::embed, Component::attn_out, Component::mlp_out});
        selection_.mean_samples = GetParam().samples;
        selection_.mean_positions = GetParam().positions;
        selection_.mean_layers = GetParam().layers;
        selection_.normalize = GetParam().normalize;
        selection_.layers = {1, 3};
    }
    void expect_by_hand() {
        const auto want = averages_by_hand(sketch_, selection_);
        const SelectedRows rows = select(run(), selection_);
        const Matrix values = read_all(rows);
        const RowLabels& labels = rows.labels();
        ASSERT_EQ(static_cast<std::size_t>(rows.n_rows()), want.size());
        for (Eigen::Index row = 0; row < values.rows(); ++row) {
            const auto i = static_cast<std::size_t>(row);
            const auto found =
                want.find({labels.component[i], labels.layer[i], labels.position[i], labels.sequence[i]});
            ASSERT_NE(found, want.end()) << rows.describe(row);
            EXPECT_TRUE(Vector(values.row(row)).cast<double>().isApprox(found->second, 1e-6))
                << rows.describe(row);
            EXPECT_NEAR(labels.norm[i], found->second.norm(), 1e-5) << rows.describe(row);
            EXPECT_EQ(labels.token[i], -1);
            EXPECT_EQ(labels.label[i], -1);
        }
    }
    Selection selection_;
};
std::vector<Averages> all_averages() {
    std::vector<Averages> all;
    for (const Normalize normalize : {Normalize::none, Normalize::unit, Normalize::layernorm}) {
        for (int which = 1; which < 8; ++which)
            all.push_back({(which & 1) != 0, (which & 2) != 0, (which & 4) != 0, normalize});
    }
    return all;
}

std::string name_of(const testing::TestParamInfo<Averages>& test) {
    static constexpr const char* kNormalize[] = {"Raw", "Unit", "LayerNorm"};
    std::string name = kNormalize[static_cast<int>(test.param.normalize)];
    if (test.param.samples) name += "OverSamples";
    if (test.param.positions) name += "OverPositions";
    if (test.param.layers) name += "OverLayers";
    return name;
}
INSTANTIATE_TEST_SUITE_P(Select, SelectAverages, testing::ValuesIn(all_averages()), name_of);

TEST_P(SelectAverages, AreThoseByHand) {
    expect_by_hand();
}

TEST_P(SelectAverages, OfSomePositionsAndSequencesAreThoseByHand) {
    selection_.positions = {1, 4};
    selection_.sequences = {1, 3};
    expect_by_hand();
}

TEST_P(SelectAverages, OfStoredTokensAreThoseByHand) {
    sketch_.rows = {0, 1, 3, 6, 7, 8, 9, 12};
    expect_by_hand();
}

// As the positions of a stream are pooled over the states after each of a block's additions.
TEST_F(SelectRows, PoolsComponents) {
    Selection selection = of({Component::attn_out, Component::mlp_out});
    selection.mean_samples = selection.mean_layers = selection.mean_components = true;
    selection.layers = {1, 3};
    const SelectedRows rows = select(run(), selection);
    const Matrix values = read_all(rows);
    ASSERT_EQ(rows.n_rows(), run().length());
    for (Eigen::Index position = 0; position < values.rows(); ++position) {
        VectorD sum = VectorD::Zero(values.cols());
        int count = 0;
        for (const SketchSite& site : sketch_.sites) {
            const Site parsed = parse_site(site.name).value();
            if ((parsed.component != Component::attn_out && parsed.component != Component::mlp_out) ||
                parsed.layer < 1 || parsed.layer > 2)
                continue;
            for (const std::int64_t token : sketch_.kept()) {
                if (sketch_.place(token).first != position) continue;
                sum += sketch_.vector(site.name, token).cast<double>();
                ++count;
            }
        }
        EXPECT_TRUE(Vector(values.row(position)).cast<double>().isApprox(sum / count, 1e-6)) << position;
        EXPECT_EQ(rows.labels().component[static_cast<std::size_t>(position)], Component::mlp_out);
        EXPECT_EQ(rows.labels().layer[static_cast<std::size_t>(position)], -1);
    }
}

// One row a layer: all of its sites.
TEST_F(SelectRows, PoolsComponentsByLayer) {
    Selection selection = of({Component::attn_out, Component::mlp_out});
    selection.mean_samples = selection.mean_positions = selection.mean_components = true;
    const SelectedRows rows = select(run(), selection);
    EXPECT_EQ(rows.labels().layer, (std::vector<std::int32_t>{0, 1, 2}));
}

TEST_F(SelectRows, AveragesLabelsApart) {
    sketch_.labels = {"context", "question"};
    sketch_.token_labels = {0, 1, 0};
    Selection selection = embeddings();
    selection.labels = {"context"};
    selection.mean_positions = selection.mean_samples = true;
    const Vector want = (sketch_.vector("embed", 0) + sketch_.vector("embed", 2)) / 2;
    EXPECT_TRUE(Vector(read_all(select(run(), selection)).row(0)).isApprox(want, 1e-6f));
}

// A sentence pooled over its tokens is what they all are, whatever start and end are not.
TEST_F(SelectRows, AveragesKeepTheLabelThatTheirRowsShare) {
    sketch_.lengths = {3, 3, 2};
    sketch_.labels = {"whale", "ship"};
    sketch_.token_labels = {-1, 1, -1, 0, 1, 0, -1, -1};
    Selection selection = embeddings();
    selection.mean_positions = true;
    EXPECT_EQ(select(run(), selection).labels().label, (std::vector<std::int32_t>{1, -1, -1}));
}

/// What `selection` gives of the same run without its vectors.
class SelectFromMeans : public SelectRows {
  protected:
    void expect_same(Selection selection) {
        const SelectedRows from_vectors = select(run(), selection);
        RunSketch no_vectors = sketch_;
        no_vectors.vectors = false;
        no_vectors.write(folder_ / "means");
        const auto means = open_run(folder_ / "means");
        const SelectedRows from_means = select(means, selection);
        EXPECT_TRUE(read_all(from_means).isApprox(read_all(from_vectors), 1e-6f));
        EXPECT_EQ(from_means.labels().component, from_vectors.labels().component);
        EXPECT_EQ(from_means.labels().layer, from_vectors.labels().layer);
        EXPECT_EQ(from_means.labels().position, from_vectors.labels().position);
    }
    static Selection averaged() {
        Selection selection = of({Component::attn_out, Component::mlp_out});
        selection.mean_samples = true;
        return selection;
    }
};

TEST_F(SelectFromMeans, IsWhatTheVectorsGive) {
    expect_same(averaged());
}

TEST_F(SelectFromMeans, IsWhatTheVectorsGiveAtSomePositions) {
    Selection selection = averaged();
    selection.positions = {2, {}};
    expect_same(selection);
}

// Positions 3 and 4 stand for two sequences, the others for three.
TEST_F(SelectFromMeans, WeighsPositionsByTheirSequences) {
    Selection selection = averaged();
    selection.mean_positions = true;
    expect_same(selection);
}

TEST_F(SelectFromMeans, IsWhatTheVectorsGiveOverLayers) {
    Selection selection = averaged();
    selection.mean_layers = true;
    expect_same(selection);
}

TEST_F(SelectFromMeans, IsWhatTheVectorsGiveInAnotherOrder) {
    Selection selection = averaged();
    selection.layer_order = LayerOrder::reversed;
    expect_same(selection);
    EXPECT_EQ(select(run(), selection).labels().site(0).layer, 2);  // shown as 0, and so the first
}

TEST_F(SelectFromMeans, GivesNoUnitVectors) {
    sketch_.vectors = false;
    Selection selection = averaged();
    selection.normalize = Normalize::unit;
    EXPECT_EQ(error(selection), path() +
                                    " keeps no vectors of the selection: only raw means over samples of all "
                                    "sequences can be had; capture it again with vectors");
}

TEST_F(SelectFromMeans, GivesNoSomeSequences) {
    sketch_.vectors = false;
    Selection selection = averaged();
    selection.sequences = {0, 1};
    EXPECT_NE(error(selection), "");
}

TEST_F(SelectFromMeans, GivesNoSingleVectors) {
    sketch_.vectors = false;
    EXPECT_EQ(error(attention()),
              path() +
                  " keeps no vectors of the selection: it was captured without them; average with --mean "
                  "samples, or capture again");
}

TEST(SelectFromTheEnd, ComparesSequencesOfUnequalLengthAtTheirEnds) {
    const TempFolder folder;
    const RunSketch sketch;  // lengths 5, 5 and 3
    sketch.write(folder / "run");
    const auto run = open_run(folder / "run");
    Selection selection;
    selection.components = {Component::mlp_out};
    selection.layers = {1, 2};
    selection.positions = {-2, -1};  // the last but one
    EXPECT_EQ(select(run, selection).labels().position, (std::vector<std::int32_t>{3, 3, 1}));
    selection.mean_samples = true;
    const SelectedRows mean = select(run, selection);
    ASSERT_EQ(mean.n_rows(), 1);
    EXPECT_EQ(mean.labels().position[0], 3);  // as in the longest
    Matrix row(1, RunSketch::kDModel);
    mean.read(0, 1, row.data());
    const Vector want = (sketch.vector("blocks.1.mlp_out", 3) + sketch.vector("blocks.1.mlp_out", 8) +
                         sketch.vector("blocks.1.mlp_out", 11)) /
                        3;
    EXPECT_LT((row.row(0).transpose() - want).norm(), 1e-5);
}

}  // namespace
}  // namespace tomograph
