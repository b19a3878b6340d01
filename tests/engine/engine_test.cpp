#include "tomograph/engine/engine.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/errors.h"
#include "tomograph/engine/model_info.h"
#include "tomograph/engine/vocabulary.h"

namespace tomograph {
namespace {

using test::error_of;
using Sequences = std::vector<Sequence>;

// The next batch
// ---------------------------------------------------------------------------------------------------

/// An engine of no model: what all engines share is how sequences are put together.
class Empty final : public Engine {
  public:
    explicit Empty(std::int64_t batch_tokens) : batch_tokens_(batch_tokens) {}
    const std::vector<SiteShape>& sites() const override { return sites_; }
    std::int64_t batch_tokens() const override { return batch_tokens_; }
    void run(std::span<const Sequence>, const Plan&, Tap&) override {}

  private:
    std::int64_t batch_tokens_;
    std::vector<SiteShape> sites_;
};

class NextBatch : public testing::Test {
  protected:
    static constexpr std::size_t n_tokens_ = 2048;
    Empty engine_{n_tokens_};

    static Sequence of_length(std::size_t length) { return {.tokens = std::vector<std::int32_t>(length, 1)}; }
    static Sequence vectors_of_length(std::size_t length) {
        Sequence sequence = of_length(length);
        sequence.vectors.resize(length * 8);
        return sequence;
    }
};

TEST_F(NextBatch, OfNothingIsEmpty) {
    EXPECT_EQ(engine_.next_batch({}), 0u);
}

TEST_F(NextBatch, HoldsAtMostTwoHundredAndFiftySixSequences) {
    EXPECT_EQ(engine_.next_batch(Sequences(300, of_length(1))), 256u);
}

TEST_F(NextBatch, IsFilledToTheLastToken) {
    EXPECT_EQ(engine_.next_batch(Sequences{of_length(n_tokens_ - 1), of_length(1), of_length(1)}), 2u);
}

TEST_F(NextBatch, StopsBeforeASequenceThatDoesNotFit) {
    EXPECT_EQ(engine_.next_batch(Sequences{of_length(n_tokens_ - 1), of_length(2), of_length(1)}), 1u);
}

TEST_F(NextBatch, IsOneSequenceThatIsLongerThanABatch) {
    EXPECT_EQ(engine_.next_batch(Sequences{of_length(n_tokens_ + 1), of_length(1)}), 1u);
}

TEST_F(NextBatch, DoesNotMixTokensWithVectors) {
    EXPECT_EQ(engine_.next_batch(Sequences{of_length(2), of_length(2), vectors_of_length(2)}), 2u);
}

TEST_F(NextBatch, DoesNotMixVectorsWithTokens) {
    EXPECT_EQ(engine_.next_batch(Sequences{vectors_of_length(2), of_length(2)}), 1u);
}

// What a batch and a plan may not be
// ---------------------------------------------------------------------------------------------------

std::string batch_error(const Sequences& batch) {
    ModelInfo model;
    model.name = "m";
    model.d_model = 4;
    model.n_vocab = 10;
    return error_of([&] { check_batch(batch, model, 3); });
}

TEST(CheckBatch, CountsTheTokens) {
    ModelInfo model;
    model.n_vocab = 10;
    EXPECT_EQ(check_batch(Sequences{{.tokens = {1, 2}}, {}, {.tokens = {3}}}, model, 3), 3);
}

TEST(CheckBatch, RefusesTooManySequences) {
    EXPECT_EQ(batch_error(Sequences(257, {.tokens = {1}})),
              "a batch of 257 sequences is too large: 256 may run at once");
}

TEST(CheckBatch, RefusesATokenThatIsNotThere) {
    EXPECT_EQ(batch_error({{.tokens = {10}}}), "no token 10: m has tokens 0 to 9");
    EXPECT_EQ(batch_error({{.tokens = {-1}}}), "no token -1: m has tokens 0 to 9");
}

TEST(CheckBatch, RefusesVectorsOfAnotherWidth) {
    EXPECT_EQ(batch_error({{.tokens = {-1}, .vectors = {1, 2, 3}}}),
              "3 numbers are no vectors of m: 1 positions of 4 each are needed");
}

std::string plan_error(const Plan& plan) {
    return error_of([&] { check_plan(plan, 7, 5); });
}

TEST(CheckPlan, TakesWhatIsThere) {
    EXPECT_EQ(plan_error({.reads = {6, 0}, .writes = {{.site = 6}}, .logits = {0, 4}}), "");
}

TEST(CheckPlan, RefusesASiteThatIsNotThere) {
    EXPECT_EQ(plan_error({.reads = {7}}), "no site 7: the model has 7 sites");
    EXPECT_EQ(plan_error({.writes = {{.site = 9}}}), "no site 9: the model has 7 sites");
}

TEST(CheckPlan, RefusesLogitsOfATokenThatIsNotThere) {
    EXPECT_EQ(plan_error({.logits = {5}}), "no logits of token 5: the batch has 5 tokens");
    EXPECT_EQ(plan_error({.logits = {-1}}), "no logits of token -1: the batch has 5 tokens");
}

TEST(CheckPlan, RefusesLogitsOutOfOrder) {
    EXPECT_EQ(plan_error({.logits = {1, 1}}), "no logits of token 1: the tokens must ascend");
    EXPECT_EQ(plan_error({.logits = {3, 1}}), "no logits of token 1: the tokens must ascend");
}

// What files say of a model
// ---------------------------------------------------------------------------------------------------

// run.json, study.json and `info --json` speak these names.
TEST(ModelJson, HasItsKeysInOrder) {
    std::vector<std::string> keys;
    const Json json = model_json({});
    for (const auto& [key, value] : json.items()) keys.push_back(key);
    EXPECT_EQ(keys, (std::vector<std::string>{"name", "path", "architecture", "type", "d_model", "n_layers",
                                              "n_heads", "n_kv_heads", "context_length", "n_vocab",
                                              "n_parameters", "file_bytes", "learned_positions"}));
}

}  // namespace
}  // namespace tomograph
