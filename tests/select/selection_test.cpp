#include "tomograph/select/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "support/errors.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"

namespace tomograph {
namespace {

using namespace test;

Matrix read_all(const RowSource& rows) {
    Matrix values(rows.n_rows(), rows.dim());
    rows.read(0, rows.n_rows(), values.data());
    return values;
}

/// A run by hand, and selections of it.
class SelectRows : public testing::Test {
  protected:
    const tomograph::Run& run() {
        if (!run_) {
            sketch_.write(folder_ / "run");
            run_ = open_run(folder_ / "run");
        }
        return *run_;
    }
    std::string path() const { return (folder_ / "run").string(); }
    std::string error(const Selection& selection) {
        return error_of([&] { select(run(), selection); });
    }
    std::vector<std::int32_t> tokens_of(const Selection& selection) {
        return select(run(), selection).labels().token;
    }

    static Selection of(std::vector<Component> components) {
        Selection selection;
        selection.components = std::move(components);
        return selection;
    }
    static Selection attention() { return of({Component::attn_out}); }
    static Selection embeddings() { return of({Component::embed}); }

    TempFolder folder_;
    RunSketch sketch_;
    std::optional<tomograph::Run> run_;
};

// Filters
// -------------------------------------------------------------------------------------------------------------

TEST_F(SelectRows, TakesEveryComponentThatIsAsWideAsTheModelButHeads) {
    const SelectedRows rows = select(run(), {});
    EXPECT_EQ(rows.n_rows(), 13 * (1 + 3 * 2));  // embed; attn_out and mlp_out of three layers
    EXPECT_EQ(rows.dim(), 6);
}

TEST_F(SelectRows, TakesOneComponent) {
    EXPECT_EQ(select(run(), attention()).n_rows(), 3 * 13);
}

TEST_F(SelectRows, TakesAComponentOfAnotherWidth) {
    EXPECT_EQ(select(run(), of({Component::router})).dim(), 4);
}

TEST_F(SelectRows, GoesSiteBySiteInNetworkOrder) {
    const SelectedRows rows = select(run(), of({Component::mlp_out, Component::attn_out}));
    EXPECT_EQ(rows.labels().component[13], Component::mlp_out);
    EXPECT_EQ(rows.labels().layer[13], 0);
    EXPECT_EQ(rows.labels().layer[26], 1);
}

TEST_F(SelectRows, TakesSomeLayers) {
    Selection selection = attention();
    selection.layers = {1, 3};
    const SelectedRows rows = select(run(), selection);
    EXPECT_EQ(rows.n_rows(), 2 * 13);
    EXPECT_EQ(rows.labels().layer.front(), 1);
}

TEST_F(SelectRows, LeavesSitesOutsideBlocksToAnyLayers) {
    Selection selection = embeddings();
    selection.layers = {2, 3};
    EXPECT_EQ(select(run(), selection).n_rows(), 13);
}

TEST_F(SelectRows, TakesSomePositions) {
    Selection selection = embeddings();
    selection.positions = {3, {}};
    EXPECT_EQ(tokens_of(selection), (std::vector<std::int32_t>{3, 4, 8, 9}));
}

TEST_F(SelectRows, TakesSomeSequences) {
    Selection selection = embeddings();
    selection.sequences = {1, 2};
    EXPECT_EQ(tokens_of(selection), (std::vector<std::int32_t>{5, 6, 7, 8, 9}));
}

TEST_F(SelectRows, TakesSomeLabels) {
    sketch_.labels = {"context", "question"};
    sketch_.token_labels = {0, 1, 1, -1, 0, 1};
    Selection selection = embeddings();
    selection.labels = {"question"};
    EXPECT_EQ(tokens_of(selection), (std::vector<std::int32_t>{1, 2, 5}));
}

TEST_F(SelectRows, TakesSeveralLabels) {
    sketch_.labels = {"context", "question"};
    sketch_.token_labels = {0, 1, 1, -1, 0, 1};
    Selection selection = embeddings();
    selection.labels = {"question", "context"};
    EXPECT_EQ(tokens_of(selection), (std::vector<std::int32_t>{0, 1, 2, 4, 5}));
}

TEST_F(SelectRows, TakesUnlabelledTokensWithoutAFilter) {
    sketch_.labels = {"context"};
    sketch_.token_labels = {0};
    EXPECT_EQ(select(run(), embeddings()).n_rows(), 13);
}

TEST_F(SelectRows, TakesWhatEveryFilterPasses) {
    Selection selection = embeddings();
    selection.positions = {1, 3};
    selection.sequences = {1, {}};
    EXPECT_EQ(tokens_of(selection), (std::vector<std::int32_t>{6, 7, 11, 12}));
}

TEST_F(SelectRows, TakesStoredTokensOnly) {
    sketch_.rows = {0, 2, 3, 12};
    EXPECT_EQ(tokens_of(embeddings()), sketch_.rows);
}

TEST_F(SelectRows, LabelsEachRow) {
    sketch_.labels = {"context"};
    sketch_.token_labels = {-1, -1, -1, -1, -1, -1, 0};
    Selection selection = of({Component::mlp_out});
    selection.layers = {1, 2};
    const RowLabels labels = select(run(), selection).labels();
    EXPECT_EQ(labels.size(), 13);
    EXPECT_EQ(labels.component[6], Component::mlp_out);
    EXPECT_EQ(labels.layer[6], 1);
    EXPECT_EQ(labels.position[6], 1);
    EXPECT_EQ(labels.sequence[6], 1);
    EXPECT_EQ(labels.token[6], 6);
    EXPECT_EQ(labels.label[6], 0);
    EXPECT_EQ(labels.label[7], -1);
    EXPECT_FLOAT_EQ(labels.norm[6], sketch_.vector("blocks.1.mlp_out", 6).norm());
}

TEST_F(SelectRows, GivesLayerMinusOneOutsideBlocks) {
    EXPECT_EQ(select(run(), embeddings()).labels().layer.front(), -1);
}

// Reading
// -------------------------------------------------------------------------------------------------------------

TEST_F(SelectRows, ReadsTheVectorsOfItsLabels) {
    Selection selection = of({Component::attn_out, Component::mlp_out});
    selection.positions = {1, {}};
    selection.layers = {1, {}};
    const SelectedRows rows = select(run(), selection);
    const Matrix values = read_all(rows);
    for (Eigen::Index row = 0; row < values.rows(); ++row) {
        const auto i = static_cast<std::size_t>(row);
        const Site site{rows.labels().component[i], rows.labels().layer[i]};
        EXPECT_EQ(Vector(values.row(row)), sketch_.vector(site.name(), rows.labels().token[i])) << row;
    }
}

TEST_F(SelectRows, ReadsAnyPart) {
    Selection selection = attention();
    selection.positions = {1, 4};
    const SelectedRows rows = select(run(), selection);
    const Matrix all = read_all(rows);
    for (std::int64_t begin = 0; begin < rows.n_rows(); ++begin) {
        for (std::int64_t end = begin; end <= rows.n_rows(); ++end) {
            Matrix part(end - begin, rows.dim());
            rows.read(begin, end, part.data());
            ASSERT_EQ(part, all.middleRows(begin, end - begin)) << begin << ":" << end;
        }
    }
}

TEST_F(SelectRows, LeavesWholeRowsOnDisk) {
    EXPECT_EQ(select(run(), attention()).data(), nullptr);
}

TEST_F(SelectRows, HasAveragesInMemory) {
    Selection selection = attention();
    selection.mean_samples = true;
    const SelectedRows rows = select(run(), selection);
    ASSERT_NE(rows.data(), nullptr);
    EXPECT_EQ(MatrixView(rows.data(), rows.n_rows(), rows.dim()), read_all(rows));
}

// Normalising
// -------------------------------------------------------------------------------------------------------------

TEST_F(SelectRows, DividesByTheNorm) {
    Selection selection = attention();
    selection.normalize = Normalize::unit;
    const Vector want = sketch_.vector("blocks.0.attn_out", 4).normalized();
    EXPECT_TRUE(Vector(read_all(select(run(), selection)).row(4)).isApprox(want, 1e-6f));
}

TEST_F(SelectRows, KeepsTheNormFromBefore) {
    Selection selection = attention();
    selection.normalize = Normalize::unit;
    EXPECT_FLOAT_EQ(select(run(), selection).labels().norm[4], sketch_.vector("blocks.0.attn_out", 4).norm());
}

TEST_F(SelectRows, NormalisesLikeALayerNorm) {
    Selection selection = attention();
    selection.normalize = Normalize::layernorm;
    const VectorD raw = sketch_.vector("blocks.0.attn_out", 4).cast<double>();
    const VectorD centred = raw.array() - raw.mean();
    const VectorD want = centred / std::sqrt(centred.squaredNorm() / 6);
    EXPECT_TRUE(Vector(read_all(select(run(), selection)).row(4)).cast<double>().isApprox(want, 1e-6));
}

TEST(NormalizeRows, LeavesZerosZero) {
    for (const Normalize normalize : {Normalize::unit, Normalize::layernorm}) {
        std::vector<float> row(5, 0.0f);
        normalize_rows(normalize, row.data(), 1, 5);
        EXPECT_EQ(row, std::vector<float>(5, 0.0f));
    }
}

TEST(NormalizeRows, MakesAConstantRowZeroUnderALayerNorm) {
    std::vector<float> row(5, 3.0f);
    normalize_rows(Normalize::layernorm, row.data(), 1, 5);
    EXPECT_EQ(row, std::vector<float>(5, 0.0f));
}

TEST(NormalizeRows, SurvivesLargeValues) {
    std::vector<float> row{3e30f, 4e30f};
    normalize_rows(Normalize::unit, row.data(), 1, 2);
    EXPECT_FLOAT_EQ(row[0], 0.6f);
    EXPECT_FLOAT_EQ(row[1], 0.8f);
}

// Averages, against the same by hand
// -------------------------------------------------------------------------------------------------------------

/// Component, layer, position, sequence.
using Group = std::tuple<Component, int, int, int>;

std::map<Group, VectorD> averages_by_hand(const RunSketch& sketch, const Selection& selection) {
    std::map<Group, VectorD> sums;
    std::map<Group, int> counts;
    for (const SketchSite& sketched : sketch.sites) {
        const Site site = parse_site(sketched.name).value();
        if (std::ranges::find(selection.components, site.component) == selection.components.end()) continue;
        if (site.layer >= 0 && !selection.layers.contains(site.layer)) continue;
        for (const std::int32_t token : sketch.kept()) {
            const auto [position, sequence] = sketch.place(token);
            if (!selection.positions.contains(position) || !selection.sequences.contains(sequence)) continue;
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

TEST_F(SelectRows, AveragesLabelsApart) {
    sketch_.labels = {"context", "question"};
    sketch_.token_labels = {0, 1, 0};
    Selection selection = embeddings();
    selection.labels = {"context"};
    selection.mean_positions = selection.mean_samples = true;
    const Vector want = (sketch_.vector("embed", 0) + sketch_.vector("embed", 2)) / 2;
    EXPECT_TRUE(Vector(read_all(select(run(), selection)).row(0)).isApprox(want, 1e-6f));
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
                  " keeps no vectors of the selection: it was captured without them or is "
                  "incomplete; average with --mean samples, or capture again");
}

// At most so many rows
// -------------------------------------------------------------------------------------------------------------

class SelectSome : public SelectRows {
  protected:
    SelectedRows some(std::int64_t rows, std::uint64_t seed) {
        Selection selection = attention();
        selection.rows = rows;
        selection.seed = seed;
        return select(run(), selection);
    }
};

TEST_F(SelectSome, IsSoManyRows) {
    EXPECT_EQ(some(7, 1).n_rows(), 7);
}

TEST_F(SelectSome, SaysHowManyThereWere) {
    EXPECT_EQ(some(7, 1).n_candidates(), 39);
}

TEST_F(SelectSome, IsAllWhereMoreAreAskedFor) {
    EXPECT_EQ(some(1000, 1).n_rows(), 39);
}

TEST_F(SelectSome, IsTheSameByTheSameSeed) {
    EXPECT_EQ(read_all(some(7, 1)), read_all(some(7, 1)));
}

TEST_F(SelectSome, IsAnotherByAnotherSeed) {
    EXPECT_NE(read_all(some(7, 1)), read_all(some(7, 2)));
}

TEST_F(SelectSome, HasNoRowTwice) {
    const SelectedRows rows = some(30, 1);
    std::set<std::pair<std::int32_t, std::int32_t>> seen;
    for (std::size_t i = 0; i < 30; ++i) seen.insert({rows.labels().layer[i], rows.labels().token[i]});
    EXPECT_EQ(seen.size(), 30u);
}

TEST_F(SelectSome, ReadsTheVectorsOfItsLabels) {
    const SelectedRows rows = some(11, 3);
    const Matrix values = read_all(rows);
    for (Eigen::Index row = 0; row < 11; ++row) {
        const auto i = static_cast<std::size_t>(row);
        const Site site{Component::attn_out, rows.labels().layer[i]};
        EXPECT_EQ(Vector(values.row(row)), sketch_.vector(site.name(), rows.labels().token[i]));
    }
}

TEST_F(SelectSome, MayBeSomeAverages) {
    Selection selection = attention();
    selection.mean_samples = true;
    selection.rows = 4;
    const SelectedRows rows = select(run(), selection);
    EXPECT_EQ(rows.n_rows(), 4);
    EXPECT_EQ(rows.n_candidates(), 15);
    for (std::size_t i = 0; i < 4; ++i) {
        Selection alone = attention();
        alone.mean_samples = true;
        alone.layers = {rows.labels().layer[i], rows.labels().layer[i] + 1};
        alone.positions = {rows.labels().position[i], rows.labels().position[i] + 1};
        EXPECT_EQ(read_all(select(run(), alone)).row(0), read_all(rows).row(static_cast<Eigen::Index>(i)));
    }
}

// The order of layers, a control
// -------------------------------------------------------------------------------------------------------------

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

// Messages
// -------------------------------------------------------------------------------------------------------------

TEST_F(SelectRows, DescribesARow) {
    Selection selection = attention();
    selection.layers = {1, 2};
    EXPECT_EQ(select(run(), selection).describe(7), "blocks.1.attn_out, token 7 (sequence 1, position 2)");
}

TEST_F(SelectRows, DescribesARowOutsideBlocks) {
    EXPECT_EQ(select(run(), embeddings()).describe(0), "embed, token 0 (sequence 0, position 0)");
}

TEST_F(SelectRows, DescribesAnAverage) {
    Selection selection = attention();
    selection.mean_samples = true;
    EXPECT_EQ(select(run(), selection).describe(3), "blocks.0.attn_out, an average at position 3");
}

TEST_F(SelectRows, DescribesAnAverageOverLayers) {
    Selection selection = attention();
    selection.mean_layers = true;
    EXPECT_EQ(select(run(), selection).describe(0),
              "attn_out, an average over layers at position 0 of sequence 0");
}

TEST_F(SelectRows, DescribesAnAverageOverAll) {
    Selection selection = attention();
    selection.mean_layers = selection.mean_positions = selection.mean_samples = true;
    EXPECT_EQ(select(run(), selection).describe(0), "attn_out, an average over layers");
}

TEST_F(SelectRows, NamesTheComponentsItHas) {
    EXPECT_EQ(error(of({Component::attn_out, Component::ln1})),
              path() + " holds no ln1: it holds embed, z, attn_out, router, mlp_out");
}

TEST_F(SelectRows, NamesTheLayersThereAre) {
    Selection selection;
    selection.layers = {1, 4};
    EXPECT_EQ(error(selection), "no layers 1:4: there are 3: 0 to 2; a range is half-open");
}

TEST_F(SelectRows, NamesThePositionsThereAre) {
    Selection selection;
    selection.positions = {5, {}};
    EXPECT_EQ(error(selection), "no positions 5:: there are 5: 0 to 4; a range is half-open");
}

TEST_F(SelectRows, NamesTheSequencesThereAre) {
    Selection selection;
    selection.sequences = {0, 9};
    EXPECT_EQ(error(selection), "no sequences 0:9: there are 3: 0 to 2; a range is half-open");
}

TEST_F(SelectRows, NamesTheLabelsThereAre) {
    sketch_.labels = {"context", "question"};
    Selection selection;
    selection.labels = {"answer"};
    EXPECT_EQ(error(selection), "no label 'answer' in " + path() + ": it has context, question");
}

TEST_F(SelectRows, SaysThatThereAreNoLabels) {
    Selection selection;
    selection.labels = {"answer"};
    EXPECT_EQ(error(selection), "no label 'answer' in " + path() + ": it has none");
}

TEST_F(SelectRows, MixesNoWidths) {
    EXPECT_EQ(error(of({Component::attn_out, Component::router})),
              "the selected components have different widths: blocks.0.attn_out has 6, blocks.0.router has "
              "4; select "
              "them one by one");
}

TEST_F(SelectRows, RefusesAnEmptySelection) {
    sketch_.rows = {0, 5};
    Selection selection = embeddings();
    selection.positions = {1, {}};
    EXPECT_EQ(error(selection),
              "the selection holds no rows: no stored token passes its positions, sequences and "
              "labels; widen it");
}

TEST_F(SelectRows, RefusesAnEmptyAverage) {
    sketch_.rows = {0, 5};
    Selection selection = embeddings();
    selection.positions = {1, {}};
    selection.mean_samples = true;
    EXPECT_NE(error(selection), "");
}

TEST_F(SelectRows, NamesTheComponentsWhoseLayersAreMissing) {
    sketch_.sites.resize(5);  // layer 0 only
    Selection selection = attention();
    selection.layers = {1, {}};
    EXPECT_EQ(error(selection),
              "the selection names no captured site: the run holds embed, z, attn_out, router, "
              "mlp_out; choose other --components or --layers");
}

}  // namespace
}  // namespace tomograph
