#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

#include "engine_support.h"
#include "support/errors.h"
#include "support/golden.h"
#include "tomograph/base/error.h"

namespace tomograph {
namespace {

using namespace test;

/// Acts when it is handed the value of number kActs.
class ActingTap final : public Tap {
  public:
    static constexpr int kActs = 5;
    explicit ActingTap(std::function<void()> act) : act_(std::move(act)) {}
    void take(const SiteBatch&) override {
        if (n_taken++ == kActs) act_();
    }
    int n_taken = 0;

  private:
    std::function<void()> act_;
};

class EngineStop : public testing::Test {
  protected:
    bool stop_ = false;
    Model model_ = Model::open(golden_model("llama"));
    std::unique_ptr<Engine> engine_ = model_.make_engine(
        {.max_length = 64, .exact = true, .threads = 1, .stop_requested = [this] { return stop_; }});
    Sequences sequences_ = random_sequences({30, 20}, 256);
};

TEST_F(EngineStop, BeforeABatchThrowsStopped) {
    stop_ = true;
    EXPECT_THROW(run(*engine_, sequences_), Stopped);
}

TEST_F(EngineStop, WithinABatchThrowsStopped) {
    ActingTap tap([this] { stop_ = true; });
    EXPECT_THROW(engine_->run(sequences_, {.reads = all_sites(*engine_)}, tap), Stopped);
}

TEST_F(EngineStop, WithinABatchEndsItSoon) {
    ActingTap tap([this] { stop_ = true; });
    EXPECT_THROW(engine_->run(sequences_, {.reads = all_sites(*engine_)}, tap), Stopped);
    EXPECT_LE(tap.n_taken, ActingTap::kActs + 3);
}

TEST_F(EngineStop, LeavesTheEngineUsable) {
    const Recording want = record(*engine_, sequences_);
    ActingTap tap([this] { stop_ = true; });
    EXPECT_THROW(engine_->run(sequences_, {.reads = all_sites(*engine_)}, tap), Stopped);
    stop_ = false;
    EXPECT_EQ(worst_site(record(*engine_, sequences_), want).error, 0);
}

TEST_F(EngineStop, ByWhatATapThrowsPassesItOn) {
    ActingTap tap([] { throw std::out_of_range("disk full"); });
    EXPECT_THROW(engine_->run(sequences_, {.reads = all_sites(*engine_)}, tap), std::out_of_range);
}

TEST_F(EngineStop, ByWhatATapThrowsHandsOverNoMore) {
    ActingTap tap([] { throw std::out_of_range("disk full"); });
    EXPECT_THROW(engine_->run(sequences_, {.reads = all_sites(*engine_)}, tap), std::out_of_range);
    EXPECT_EQ(tap.n_taken, ActingTap::kActs + 1);
}

TEST_F(EngineStop, ByWhatATapThrowsLeavesTheEngineUsable) {
    const Recording want = record(*engine_, sequences_);
    ActingTap tap([] { throw std::out_of_range("disk full"); });
    EXPECT_THROW(engine_->run(sequences_, {.reads = all_sites(*engine_)}, tap), std::out_of_range);
    EXPECT_EQ(worst_site(record(*engine_, sequences_), want).error, 0);
}

// Bad input

class EngineRefuses : public testing::Test {
  protected:
    Model model_ = Model::open("bytes-gpt2");
    std::unique_ptr<Engine> engine_ = model_.make_engine(fast());

    std::string refusal(const Sequences& sequences) {
        return error_of([&] { run(*engine_, sequences); });
    }
};

TEST_F(EngineRefuses, ATokenPastTheVocabulary) {
    EXPECT_EQ(refusal({{.tokens = {1, 256}}}), "no token 256: bytes-gpt2 has tokens 0 to 255");
}

TEST_F(EngineRefuses, ANegativeToken) {
    EXPECT_EQ(refusal({{.tokens = {-1}}}), "no token -1: bytes-gpt2 has tokens 0 to 255");
}

TEST_F(EngineRefuses, ASequenceLongerThanItWasMadeFor) {
    EXPECT_EQ(refusal({random_sequence(65, 256, 1)}),
              "a sequence is longer than the engine was made for: 65 tokens");
}

TEST_F(EngineRefuses, VectorsOfAnotherWidth) {
    Sequence sequence{.tokens = {-1, -1}};
    sequence.vectors.resize(2 * 100);
    EXPECT_EQ(refusal({sequence}),
              "200 numbers are no vectors of bytes-gpt2: 2 positions of 128 each are needed");
}

TEST_F(EngineRefuses, ABatchOfTokensAndVectors) {
    const Sequence tokens{.tokens = {1, 2}};
    EXPECT_EQ(refusal({as_vectors(model_, tokens), tokens}),
              "a batch mixes tokens and vectors; run them apart");
    EXPECT_EQ(refusal({tokens, as_vectors(model_, tokens)}),
              "a batch mixes tokens and vectors; run them apart");
}

TEST_F(EngineRefuses, MoreSequencesThanABatchHolds) {
    EXPECT_NE(refusal(Sequences(257, {.tokens = {1}})), "");
}

TEST_F(EngineRefuses, NothingThatFollowsARefusal) {
    refusal(Sequences(257, {.tokens = {1}}));
    EXPECT_EQ(refusal({{.tokens = {1, 2, 3}}}), "");
}

TEST_F(EngineRefuses, ALengthAboveALearnedTable) {
    EXPECT_EQ(error_of([&] { model_.make_engine(fast(129)); }),
              "length 129 is above the context of bytes-gpt2: its position table has 128 rows; use --length "
              "128 or less");
}

TEST_F(EngineRefuses, ALengthOfNothing) {
    EXPECT_EQ(error_of([&] { model_.make_engine(fast(0)); }), "a sequence needs at least one token");
}

TEST(EngineAllows, TheWholeOfALearnedTable) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(fast(128));
    EXPECT_EQ(error_of([&] { run(*engine, {random_sequence(128, 256, 1)}); }), "");
}

TEST(EngineAllows, ALengthAboveTheContextWherePositionsAreRotary) {
    const Model model = Model::open("bytes-llama");
    const auto engine = model.make_engine(fast(200));
    EXPECT_EQ(error_of([&] { run(*engine, {random_sequence(200, 256, 1)}); }), "");
}

TEST(EngineAllows, SeveralEnginesOnOneModel) {
    const Model model = Model::open(golden_model("llama"));
    const auto first = model.make_engine(exact()), second = model.make_engine(exact());
    const Sequence sequence = random_sequence(20, 256, 1);
    EXPECT_EQ(worst_site(record_one(*second, sequence), record_one(*first, sequence)).error, 0);
}

}  // namespace
}  // namespace tomograph
