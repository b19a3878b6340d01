#include "tomograph/model/sum_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/errors.h"

namespace tomograph {
namespace {

using test::error_of;
using Values = std::vector<float>;

constexpr std::int64_t kWidth = 4;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Two tokens of one block, of which each value can be changed before it is checked.
class SumCheckOf : public testing::Test {
  protected:
    std::map<Component, Values> values_{
        {Component::resid_pre, {1, 2, 3, 4, 1e-3f, 2e-3f, 0, 0}},
        {Component::attn_out, {1, 1, 1, 1, 1e-3f, 0, 0, 0}},
        {Component::resid_mid, {2, 3, 4, 5, 2e-3f, 2e-3f, 0, 0}},
        {Component::mlp_out, {-2, -3, -4, -5, 0, 0, 0, 0}},
        {Component::resid_post, {0, 0, 0, 0, 2e-3f, 2e-3f, 0, 0}},
    };

    std::string error(bool parallel = false) const {
        std::vector<SiteShape> sites;
        for (const auto& [component, rows] : values_) {
            if (!(parallel && component == Component::resid_mid)) sites.push_back({{component, 0}, {kWidth}});
        }
        const auto at = [](Component component) { return SiteSum::Part{{component, 0}, 1}; };
        std::vector<SiteSum> sums{
            {{Component::resid_mid, 0}, {at(Component::resid_pre), at(Component::attn_out)}},
            {{Component::resid_post, 0}, {at(Component::resid_mid), at(Component::mlp_out)}}};
        if (parallel)
            sums = {{{Component::resid_post, 0},
                     {at(Component::resid_pre), at(Component::attn_out), at(Component::mlp_out)}}};
        SumCheck check(sites, sums, "m");
        return error_of([&] {
            for (std::size_t i = 0; i < sites.size(); ++i) {
                const auto& rows = values_.at(sites[i].site.component);
                const auto n = static_cast<std::int64_t>(rows.size()) / kWidth;
                for (std::size_t s = 0; s < check.sums.size(); ++s)
                    if (check.sums[s] == i) check.take_sum(s, 10, n, rows.data());
                for (std::size_t p = 0; p < check.parts.size(); ++p)
                    if (check.parts[p] == i) check.take_part(p, 10, n, rows.data());
            }
        });
    }
    static std::string not_adding_up(const std::string& site, const std::string& error, int token) {
        return "the residual stream of m does not add up: " + site + ": relative error " + error +
               " at token " + std::to_string(token) +
               "; this architecture writes to the stream in a way that tomograph cannot name yet";
    }
    static std::string no_number(const std::string& site, int token) {
        return "m computes what is no number: " + site + " of token " + std::to_string(token) +
               " is infinite or not a number; its weights are damaged or too large for the precision that it "
               "runs with; try --exact, or another file";
    }
};

TEST_F(SumCheckOf, WhatAddsUpIsSilent) {
    EXPECT_EQ(error(), "");
}

TEST_F(SumCheckOf, AParallelBlockAddsAllThree) {
    values_[Component::resid_post] = {0, 0, 0, 0, 2e-3f, 2e-3f, 0, 0};
    EXPECT_EQ(error(true), "");
    values_[Component::mlp_out][0] = 0;
    EXPECT_NE(error(true), "");
}

TEST_F(SumCheckOf, AWrongSumNamesSiteAndToken) {
    values_[Component::resid_mid][1] = 3.003f;
    EXPECT_EQ(error(), not_adding_up("blocks.0.resid_mid", "4.1e-04", 10));
}

// Over the whole batch this error would be one part in ten million.
TEST_F(SumCheckOf, OneMassiveTokenHidesNoError) {
    for (const Component component : {Component::resid_pre, Component::resid_mid})
        values_[component][0] = 1e7f;
    values_[Component::attn_out][0] = 0;
    values_[Component::mlp_out][0] = -1e7f;
    ASSERT_EQ(error(), "");
    values_[Component::resid_post][4] = 3e-3f;
    EXPECT_EQ(error(), not_adding_up("blocks.0.resid_post", "2.8e-01", 11));
}

TEST_F(SumCheckOf, NumbersTooSmallToBeExactDoNotCount) {
    for (auto& [component, rows] : values_) rows.assign(2 * kWidth, 0.0f);
    values_[Component::resid_post][2] = 1e-44f;
    EXPECT_EQ(error(), "");
}

// x + y = z exactly, though z is far smaller than either: its rounding is theirs.
TEST_F(SumCheckOf, WhatCancelsIsMeasuredByItsParts) {
    values_[Component::resid_mid][0] = 1e4f;
    values_[Component::resid_pre][0] = 1e4f;
    values_[Component::attn_out][0] = 0;
    values_[Component::mlp_out][0] = std::nextafter(-1e4f, 0.0f);
    values_[Component::resid_post][0] = 0;  // off by one rounding of the parts
    EXPECT_EQ(error(), "");
}

TEST_F(SumCheckOf, TheModelsOwnInfinityIsSaidToBeThat) {
    values_[Component::attn_out][6] = kInfinity;
    values_[Component::resid_mid][6] = kInfinity;
    EXPECT_EQ(error(), no_number("blocks.0.attn_out", 11));
}

TEST_F(SumCheckOf, ANumberThatIsNoneIsFound) {
    for (const Component component : {Component::resid_post, Component::mlp_out})
        values_[component][7] = std::nanf("");
    EXPECT_EQ(error(), no_number("blocks.0.mlp_out", 11));
}

TEST_F(SumCheckOf, ASumThatOverflowsIsFound) {
    values_[Component::resid_post][3] = kInfinity;
    EXPECT_EQ(error(), no_number("blocks.0.resid_post", 10));
}

/// One token of two streams, [2, kWidth]: each goes on into each, and what attention wrote is dealt out.
class SumCheckOfStreams : public testing::Test {
  protected:
    std::map<Component, Values> values_{
        {Component::resid_pre, {1, 2, 3, 4, 10, 20, 30, 40}},
        {Component::attn_hc_pre, {0.5f, 0.25f}},
        {Component::attn_in, {3, 6, 9, 12}},
        {Component::attn_out, {1, 0, 0, -1}},
        {Component::attn_hc_comb, {1, 2, 3, -1}},
        {Component::attn_hc_post, {4, -2}},
        {Component::resid_mid, {35, 62, 93, 120, -10, -16, -24, -30}},
    };

    std::string error() const {
        std::vector<SiteShape> sites;
        for (const auto& [component, rows] : values_)
            sites.push_back({{component, 0}, {static_cast<std::int64_t>(rows.size())}});
        const auto part = [](Component component, Component weights, std::int64_t from, std::int64_t to) {
            return SiteSum::Part{{component, 0}, 1, SiteSum::Mix{{weights, 0}, from, to}};
        };
        const std::vector<SiteSum> sums{
            {{Component::attn_in, 0}, {part(Component::resid_pre, Component::attn_hc_pre, 2, 1)}},
            {{Component::resid_mid, 0},
             {part(Component::resid_pre, Component::attn_hc_comb, 2, 2),
              part(Component::attn_out, Component::attn_hc_post, 1, 2)}}};
        SumCheck check(sites, sums, "m");
        return error_of([&] {
            for (std::size_t i = 0; i < sites.size(); ++i) {
                const auto& rows = values_.at(sites[i].site.component);
                for (std::size_t s = 0; s < check.sums.size(); ++s)
                    if (check.sums[s] == i) check.take_sum(s, 0, 1, rows.data());
                for (std::size_t p = 0; p < check.parts.size(); ++p)
                    if (check.parts[p] == i) check.take_part(p, 0, 1, rows.data());
            }
        });
    }
};

TEST_F(SumCheckOfStreams, WhatTheirWeightsMakeOfThemAddsUp) {
    EXPECT_EQ(error(), "");
}

// Each by a thousandth of what it was; the zeros of what attention wrote say nothing.
TEST_F(SumCheckOfStreams, AnyOtherValueOrWeightDoesNot) {
    for (auto& [component, rows] : values_) {
        for (float& value : rows) {
            if (value == 0) continue;
            const float kept = std::exchange(value, value * 1.001f);
            EXPECT_NE(error(), "") << component_name(component);
            value = kept;
        }
    }
}

TEST_F(SumCheckOfStreams, AMatrixTheOtherWayRoundDoesNot) {
    std::swap(values_[Component::attn_hc_comb][1], values_[Component::attn_hc_comb][2]);
    EXPECT_NE(error(), "");
}

TEST_F(SumCheckOfStreams, AWeightThatIsNoNumberIsNamed) {
    values_[Component::attn_hc_post][1] = std::nanf("");
    EXPECT_NE(error().find("blocks.0.attn_hc_post of token 0 is infinite or not a number"), std::string::npos)
        << error();
}

}  // namespace
}  // namespace tomograph
