#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "select/select_rows.h"

namespace tomograph {
namespace {

using namespace test;

TEST_F(SelectRows, SaysWhoSomeOfTheRowsAre) {
    for (const bool reversed : {false, true}) {
        Selection selection = of({Component::attn_out, Component::mlp_out});
        if (reversed) selection.layer_order = LayerOrder::reversed;
        const SelectedRows rows = select(run(), selection);
        const RowLabels all = rows.labels();
        for (const auto& [begin, end] : {std::pair(0, 5), {7, 30}, {12, 14}, {77, 78}, {0, 78}, {4, 4}}) {
            std::vector<std::int64_t> some;
            for (std::int64_t row = begin; row < end; ++row) some.push_back(row);
            const RowLabels want = all.of(some), got = rows.labels(begin, end);
            EXPECT_EQ(got.component, want.component);
            EXPECT_EQ(got.layer, want.layer);
            EXPECT_EQ(got.true_layer, want.true_layer);
            EXPECT_EQ(got.position, want.position);
            EXPECT_EQ(got.token, want.token);
            EXPECT_EQ(got.sequence, want.sequence);
            EXPECT_EQ(got.norm, want.norm);
        }
        EXPECT_EQ(rows.sites().size(), 6u);
        EXPECT_EQ(rows.sites().front(), (Site{Component::attn_out, 0}));
    }
}

TEST_F(SelectRows, LeavesSomeOut) {
    for (const bool mean : {false, true}) {
        Selection selection = of({Component::attn_out, Component::mlp_out});
        selection.mean_samples = mean;
        const SelectedRows rows = select(run(), selection);
        const Matrix all = read_all(rows);
        // A whole site, the last row, and one amid others.
        std::vector<std::int64_t> out, in;
        const std::int64_t of_site = rows.n_rows() / 6;
        for (std::int64_t row = 0; row < rows.n_rows(); ++row) {
            const bool leave = row / of_site == 1 || row == 2 || row == rows.n_rows() - 1;
            (leave ? out : in).push_back(row);
        }
        const SelectedRows rest = rows.without(out);
        ASSERT_EQ(rest.n_rows(), std::ssize(in));
        EXPECT_EQ(rest.n_candidates(), rows.n_candidates());
        const Matrix left = read_all(rest);
        for (std::size_t i = 0; i < in.size(); ++i) {
            EXPECT_EQ(left.row(static_cast<Eigen::Index>(i)), all.row(in[i])) << i;
            EXPECT_EQ(rest.describe(static_cast<std::int64_t>(i)), rows.describe(in[i]));
        }
        EXPECT_EQ(rest.labels().position, rows.labels().of(in).position);
        EXPECT_EQ(rest.sites().size(), 5u);
    }
}

}  // namespace
}  // namespace tomograph
