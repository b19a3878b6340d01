// What the model expected of each token, against a softmax of llama.cpp's own logits.
#include <cmath>

#include "capture/capture_support.h"
#include "support/direct_llama.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

using namespace test;

struct Expected {
    double logprob, entropy;
    int rank;
};

/// One sequence in one decode, with nothing of tomograph in it; entry t is what was thought of token t + 1.
std::vector<Expected> plain_scores(const std::string& path, const std::vector<std::int32_t>& tokens) {
    const Matrix all_logits = DirectLlama(path, 128).logits(tokens);
    std::vector<Expected> all;
    for (std::size_t t = 0; t + 1 < tokens.size(); ++t) {
        const auto logits = all_logits.row(static_cast<Eigen::Index>(t));
        long double sum = 0;
        for (Eigen::Index v = 0; v < logits.size(); ++v) sum += std::exp(static_cast<long double>(logits[v]));
        Expected expected{0, 0, 1};
        for (Eigen::Index v = 0; v < logits.size(); ++v) {
            const long double p = std::exp(static_cast<long double>(logits[v])) / sum;
            expected.entropy -= static_cast<double>(p * std::log(p));
            expected.rank += logits[v] > logits[tokens[t + 1]];
        }
        expected.logprob =
            static_cast<double>(std::log(std::exp(static_cast<long double>(logits[tokens[t + 1]])) / sum));
        all.push_back(expected);
    }
    return all;
}

class CaptureScores : public Capture {
  protected:
    static CaptureOptions scored() {
        CaptureOptions how = options();
        how.scores = true;
        how.components = {Component::resid_post};
        return how;
    }
};

TEST_F(CaptureScores, EqualLlamaCppsOwnLogits) {
    CaptureOptions how = scored();
    how.exact = true;  // as the reference is
    const tomograph::Run run = take(how);
    ASSERT_EQ(run.scores(), (std::vector<std::string>{"logprob", "entropy", "rank"}));
    const auto logprob = run.score("logprob"), entropy = run.score("entropy"), rank = run.score("rank");
    std::size_t t = 0;
    double sum = 0;
    int count = 0;
    for (const Sequence& sequence : prompts_.sequences) {
        EXPECT_TRUE(std::isnan(logprob[t]) && std::isnan(entropy[t]) && std::isnan(rank[t]));
        for (const Expected& expected : plain_scores(golden_model("llama"), sequence.tokens)) {
            ++t;
            EXPECT_NEAR(logprob[t], expected.logprob, 1e-4);
            EXPECT_NEAR(entropy[t], expected.entropy, 1e-4);
            EXPECT_EQ(rank[t], static_cast<float>(expected.rank));
            sum += expected.logprob;
            ++count;
        }
        ++t;
    }
    EXPECT_NEAR(summary_.mean_logprob, sum / count, 1e-3);
}

TEST_F(CaptureScores, AreAmongTheRunsOwnFiles) {
    take(scored());
    EXPECT_TRUE(std::filesystem::exists(out() / "stats/scores.safetensors"));
    EXPECT_TRUE(verify_run(out(), no_progress()).faults.empty());
    std::filesystem::remove_all(out() / "stats");
    const tomograph::Run run = open_run(out());  // the shards have it all
    EXPECT_EQ(run.score("rank").size(), static_cast<std::size_t>(run.n_tokens()));
}

TEST_F(CaptureScores, AreNotThereUnlessAskedFor) {
    const tomograph::Run run = take(options());
    EXPECT_TRUE(run.scores().empty());
    EXPECT_NE(error_of([&] { run.score("rank"); }).find("it was captured without --scores"),
              std::string::npos);
}

TEST_F(CaptureScores, LeaveTheVectorsAsTheyAre) {
    take(scored());
    const auto with = read_file(out() / "shards/000000.safetensors");
    std::filesystem::remove_all(out());
    CaptureOptions how = scored();
    how.scores = false;
    take(how);
    EXPECT_EQ(read_file(out() / "shards/000000.safetensors"), with);
}

TEST_F(CaptureScores, OfVectorsAreNone) {
    prompts_ = random_prompts({4});
    const Matrix rows = model_.token_embeddings(prompts_.sequences[0].tokens);
    prompts_.sequences[0].vectors.assign(rows.data(), rows.data() + rows.size());
    prompts_.sequences[0].tokens.assign(4, -1);
    for (const float score : take(scored()).score("logprob")) EXPECT_TRUE(std::isnan(score));
}

TEST_F(CaptureScores, KeepsColumnsOfLabels) {
    prompts_ = random_prompts({3, 2});
    prompts_.columns = {{"role", {"user", "assistant"}}, {"turn"}};
    prompts_.sequences[0].columns = {{0, 1, -1}, {0, 4, 4}};  // the second sequence has none
    const tomograph::Run run = take(options());
    ASSERT_EQ(run.columns(), prompts_.columns);
    EXPECT_EQ(run.tokens().further[0], (std::vector<std::int32_t>{0, 1, -1, -1, -1}));
    EXPECT_EQ(run.tokens().further[1], (std::vector<std::int32_t>{0, 4, 4, -1, -1}));
}

}  // namespace
}  // namespace tomograph
