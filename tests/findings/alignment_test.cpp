#include "tomograph/findings/alignment.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/errors.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/findings/compare.h"

namespace tomograph {
namespace {

using namespace test;
using Partners = std::vector<std::int64_t>;

class Align : public testing::Test {
  protected:
    /// A run of one sequence a list of pieces; tokens in `control` are control tokens.
    tomograph::Run run_of(const std::string& name, const std::vector<std::vector<std::string>>& sequences,
                          std::vector<std::int32_t> control = {}) const {
        RunSketch sketch;
        sketch.lengths.clear();
        for (const auto& pieces : sequences) {
            sketch.lengths.push_back(static_cast<std::int64_t>(pieces.size()));
            sketch.pieces.insert(sketch.pieces.end(), pieces.begin(), pieces.end());
        }
        if (!control.empty()) {
            sketch.columns = {{"type", {"normal", "control"}}};
            sketch.entries = {std::vector<std::int32_t>(sketch.pieces.size(), 0)};
            for (const std::int32_t token : control) sketch.entries[0][static_cast<std::size_t>(token)] = 1;
        }
        sketch.write(folder_ / name);
        return open_run(folder_ / name);
    }
    TempFolder folder_;
};

TEST_F(Align, PairsTokensThatEndAtTheSameByte) {
    const auto a = run_of("a", {{"The", " wh", "ale", "."}, {"a", "b"}});
    const auto b = run_of("b", {{"The", " ", "whale", "."}, {"ab"}});
    const Alignment alignment = align_tokens(a, b);
    EXPECT_FALSE(alignment.same_tokens);
    EXPECT_EQ(alignment.b_of_a, (Partners{0, -1, 2, 3, -1, 4}));
    EXPECT_EQ(alignment.n_pairs, 4);
}

TEST_F(Align, PairsTheSameTokensOneByOne) {
    const auto a = run_of("a", {{"x", "y"}}), b = run_of("b", {{"x", "y"}});
    const Alignment alignment = align_tokens(a, b);
    EXPECT_TRUE(alignment.same_tokens);
    EXPECT_EQ(alignment.b_of_a, (Partners{0, 1}));
}

TEST_F(Align, TakesControlTokensAndASpaceBeforeTheTextForNothing) {
    const auto a = run_of("a", {{"<s>", " Hel", "lo", " you"}}, {0});
    const auto b = run_of("b", {{"Hello", " y", "ou"}});
    EXPECT_EQ(align_tokens(a, b).b_of_a, (Partners{-1, -1, 0, 2}));
}

TEST_F(Align, PairsWhatBothHaveReadWhereOneWasCut) {
    const auto a = run_of("a", {{"ab", "cd", "ef"}}), b = run_of("b", {{"abcd", "e"}});
    EXPECT_EQ(align_tokens(a, b).b_of_a, (Partners{-1, 0, -1}));
}

TEST_F(Align, RefusesOtherTexts) {
    const auto a = run_of("a", {{"ab", "cd"}}), b = run_of("b", {{"abx", "d", "e"}}),
               c = run_of("c", {{"ab"}, {"cd"}});
    EXPECT_NE(error_of([&] { align_tokens(a, b); }).find("sequence 0 differs at byte 2: 'cd' in "),
              std::string::npos);
    EXPECT_NE(error_of([&] { align_tokens(a, c); }).find("has 1 sequences"), std::string::npos);
}

TEST_F(Align, LetsRunsOfOtherTokensBeCompared) {
    const auto a = run_of("a", {{"a", "b", "c", "d", "e", "f", "g", "h"}, {"i", "j", "k", "l", "m", "n"}});
    const auto b = run_of("b", {{"a", "bc", "d", "e", "f", "gh"}, {"i", "j", "k", "lm", "n"}});
    const CompareReport report = compare_runs(a, b, {.rows = 100, .neighbor_rows = 100, .neighbors = 2});
    EXPECT_EQ(report.common_tokens, 9);  // and the two first ones, which are left out
    EXPECT_NE(report.notes.front().find("compared are the 11 pairs that end at the same byte"),
              std::string::npos);
}

}  // namespace
}  // namespace tomograph
