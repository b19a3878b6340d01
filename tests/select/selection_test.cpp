#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "select/select_rows.h"

namespace tomograph {
namespace {

using namespace test;

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

TEST_F(SelectRows, TakesTokensByFurtherColumns) {
    sketch_.columns = {{"role", {"user", "assistant"}}, {"turn"}};
    sketch_.entries = {{0, 0, 1, 1, -1, 0, 1, 1, 0, -1, 0, 0, 1}, {0, 0, 1, 1, -1, 0, 1, 1, 2, -1, 0, 0, 1}};
    Selection selection = embeddings();
    selection.where = {parse_where("role=assistant")};
    EXPECT_EQ(tokens_of(selection), (std::vector<std::int32_t>{2, 3, 6, 7, 12}));
    selection.where = {parse_where("turn=1:3")};
    EXPECT_EQ(tokens_of(selection), (std::vector<std::int32_t>{2, 3, 6, 7, 8, 12}));
    selection.where = {parse_where("role=user,assistant"), parse_where("turn=2")};
    EXPECT_EQ(tokens_of(selection), (std::vector<std::int32_t>{8}));
    EXPECT_EQ(selection.json().at("where").size(), 2u);
}

TEST_F(SelectRows, NamesTheColumnsAndWordsThereAre) {
    sketch_.columns = {{"role", {"user", "assistant"}}};
    sketch_.entries = {std::vector<std::int32_t>(13, 0)};
    Selection selection = embeddings();
    selection.where = {{"speaker", {"user"}}};
    EXPECT_NE(error_of([&] { select(run(), selection); }).find("it has role"), std::string::npos);
    selection.where = {{"role", {"tool"}}};
    EXPECT_NE(error_of([&] { select(run(), selection); }).find("it has user, assistant"), std::string::npos);
    for (const char* text : {"role", "=user", "role="}) EXPECT_NE(error_of([&] { parse_where(text); }), "");
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

/// The last token stands at the last position that a run may have.
class SelectFarOut : public SelectRows {
  protected:
    SelectedRows far(const Selection& selection) {
        sketch_.last_position = kLast;
        return select(run(), selection);
    }
    static constexpr std::int32_t kLast = kMostPositions - 1;
};

TEST_F(SelectFarOut, TakesTheLastPositionThereCanBe) {
    Selection selection = embeddings();
    selection.positions = {kLast, {}};
    const SelectedRows rows = far(selection);
    EXPECT_EQ(rows.labels().position, (std::vector<std::int32_t>{kLast}));
    EXPECT_EQ(rows.describe(0), "embed, token 12 (sequence 2, position 16777215)");
}

TEST_F(SelectFarOut, AveragesOverIt) {
    Selection selection = embeddings();
    selection.mean_samples = true;
    EXPECT_EQ(far(selection).labels().position.back(), kLast);
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

TEST_F(SelectSome, IsSoManyRowsAsWholeTokensHave) {
    EXPECT_EQ(some(7, 1).n_rows(), 6);
    EXPECT_EQ(some(9, 1).n_rows(), 9);
}

TEST_F(SelectSome, HasEachTokenAtEverySite) {
    Selection selection = of({Component::attn_out, Component::mlp_out});
    selection.rows = 20;
    const SelectedRows rows = select(run(), selection);
    ASSERT_EQ(rows.n_rows(), 18);
    std::map<std::int32_t, std::set<Site>> sites;
    for (std::int64_t row = 0; row < 18; ++row)
        sites[rows.labels().token[static_cast<std::size_t>(row)]].insert(rows.labels().site(row));
    EXPECT_EQ(sites.size(), 3u);
    for (const auto& [token, of_token] : sites) EXPECT_EQ(of_token.size(), 6u) << token;
}

TEST_F(SelectSome, AsksForAsManyRowsAsATokenHas) {
    EXPECT_EQ(
        error_of([&] { some(2, 1); }),
        "2 rows do not hold one token whole: each has 3 vectors in this selection; ask for 3 rows or more, "
        "or for fewer components and layers");
}

TEST_F(SelectSome, IsOfRowsWhereAnOlderProgramMadeItSo) {
    Selection selection = attention();
    selection.rows = 7;
    selection.sample = Sample::rows;
    EXPECT_EQ(select(run(), selection).n_rows(), 7);
}

TEST_F(SelectSome, SaysHowManyThereWere) {
    EXPECT_EQ(some(7, 1).n_candidates(), 39);
}

TEST_F(SelectSome, IsAllWhereMoreAreAskedFor) {
    EXPECT_EQ(some(1000, 1).n_rows(), 39);
}

TEST_F(SelectSome, IsAllWhereEveryNumberIsAskedFor) {
    EXPECT_EQ(some(std::numeric_limits<std::int64_t>::max(), 1).n_rows(), 39);
}

TEST_F(SelectSome, IsNeverLessThanNone) {
    EXPECT_EQ(error_of([&] { some(-1, 1); }), "cannot select -1 rows; ask for 1 or more; 0: all");
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
    for (Eigen::Index row = 0; row < 9; ++row) {
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
    EXPECT_EQ(rows.n_rows(), 3) << "one position at each layer";
    EXPECT_EQ(rows.n_candidates(), 15);
    EXPECT_EQ(rows.labels().layer, (std::vector<std::int32_t>{0, 1, 2}));
    for (std::size_t i = 0; i < 3; ++i) {
        Selection alone = attention();
        alone.mean_samples = true;
        alone.layers = {rows.labels().layer[i], rows.labels().layer[i] + 1};
        alone.positions = {rows.labels().position[i], rows.labels().position[i] + 1};
        EXPECT_EQ(read_all(select(run(), alone)).row(0), read_all(rows).row(static_cast<Eigen::Index>(i)));
    }
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
