#include "tomograph/model/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/errors.h"
#include "support/golden.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/error.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;

using Sequences = std::vector<Sequence>;

// One thread: these models are too small to share, and tests run side by side.
EngineOptions exact(std::int64_t max_length = 64) {
    return {.max_length = max_length, .exact = true, .threads = 1};
}
EngineOptions fast(std::int64_t max_length = 64) {
    return {.max_length = max_length, .threads = 1};
}

Recording record_one(Engine& engine, const Sequence& sequence) {
    return record(engine, std::span(&sequence, 1));
}

/// What the sequences give when each is a batch of its own.
Recording record_one_by_one(Engine& engine, const Sequences& sequences) {
    Recording joined;
    for (const Sequence& sequence : sequences) {
        for (const auto& [site, values] : record_one(engine, sequence)) {
            Matrix& rows = joined[site];
            rows.conservativeResize(rows.rows() + values.rows(), values.cols());
            rows.bottomRows(values.rows()) = values;
        }
    }
    return joined;
}

Sequences random_sequences(const std::vector<std::int64_t>& lengths, std::int64_t n_vocab) {
    Sequences sequences;
    for (const std::int64_t length : lengths) {
        sequences.push_back(random_sequence(length, n_vocab, 100 + sequences.size()));
    }
    return sequences;
}

/// The sequence as the rows of the embedding table that its tokens stand for, times `factor`.
Sequence as_vectors(const Model& model, const Sequence& sequence, float factor = 1) {
    const Matrix rows = model.token_embeddings(sequence.tokens) * factor;
    Sequence vectors = sequence;
    vectors.vectors.assign(rows.data(), rows.data() + rows.size());
    return vectors;
}

struct IgnoringTap final : Tap {
    void take(const SiteBatch&) override { ++n_taken; }
    std::int64_t n_taken = 0;
};

/// Runs `sequences` as one batch, all sites, values dropped.
void run(Engine& engine, const Sequences& sequences, bool check_sums = false) {
    IgnoringTap tap;
    engine.run(sequences, all_sites(engine), tap, check_sums);
}

// Every golden model
// -------------------------------------------------------------------------------------------

class EveryModel : public testing::TestWithParam<std::string> {
  protected:
    Model model_ = Model::open(GetParam().starts_with("bytes-") ? GetParam() : golden_model(GetParam()));
};
INSTANTIATE_TEST_SUITE_P(Engine, EveryModel, testing::ValuesIn([] {
                             std::vector<std::string> names = golden_models();
                             names.insert(names.end(), embedded_models().begin(), embedded_models().end());
                             return names;
                         }()),
                         [](const auto& test) {
                             std::string name = test.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

// A rounding of the last bit decides which of two half-precision neighbours a value becomes: at a GELU, and
// at every product with half-precision weights, which the embedded models have.
TEST_P(EveryModel, GivesManySequencesInABatchWhatTheyGetOneByOne) {
    Engine engine(model_, exact());
    const Sequences sequences = random_sequences({17, 1, 40, 8, 1, 23}, 256);
    const Recording together = record(engine, sequences);
    const bool half_weights = GetParam().starts_with("bytes-");
    for (const auto& [site, alone] : record_one_by_one(engine, sequences)) {
        const bool float32 = !half_weights && before_gelu(GetParam(), parse_site(site).value());
        EXPECT_LE(row_error(together.at(site), alone), float32 ? 1e-5 : 2e-3) << site;
    }
}

TEST_P(EveryModel, AddsUpWithTokens) {
    Engine engine(model_, fast());
    EXPECT_EQ(error_of([&] { run(engine, random_sequences({40, 3}, 256), true); }), "");
}

TEST_P(EveryModel, AddsUpWithVectors) {
    Engine engine(model_, fast());
    Sequences sequences;
    for (const Sequence& sequence : random_sequences({40, 3}, 256))
        sequences.push_back(as_vectors(model_, sequence));
    EXPECT_EQ(error_of([&] { run(engine, sequences, true); }), "");
}

// gemma3, unlike gemma2, multiplies only the embeddings that it looks up itself by the square root of its
// width.
TEST_P(EveryModel, GivesVectorsWhatItGivesTheTokensTheyStandFor) {
    Engine engine(model_, exact());
    const Sequence tokens = random_sequence(40, 256, 1);
    const bool unscaled = model_.info().architecture == "gemma3";
    const float factor = unscaled ? std::sqrt(static_cast<float>(model_.info().d_model)) : 1;
    Recording from_vectors = record_one(engine, as_vectors(model_, tokens, factor));
    Recording from_tokens = record_one(engine, tokens);
    if (unscaled) from_vectors.erase("embed"), from_tokens.erase("embed");
    const WorstSite worst = worst_site(from_vectors, from_tokens);
    EXPECT_LE(worst.error, 1e-6) << worst.site;
}

// The order of tokens
// --------------------------------------------------------------------------------------------

TEST(EngineBatch, KeepsTheOrderOfTokens) {
    const Model model = Model::open("bytes-llama");
    Engine engine(model, fast());
    const Sequences sequences = random_sequences({5, 1, 40, 2, 9}, 256);
    std::vector<std::int32_t> ids;
    for (const Sequence& sequence : sequences)
        ids.insert(ids.end(), sequence.tokens.begin(), sequence.tokens.end());
    EXPECT_EQ(record(engine, sequences).at("embed"), model.token_embeddings(ids));
}

TEST(EngineBatch, RunsTwoHundredAndFiftySixSequences) {
    const Model model = Model::open(golden_model("llama"));
    Engine engine(model, exact());
    Sequences sequences;
    for (std::int32_t token = 0; token < 256; ++token) sequences.push_back({.tokens = {token, 7}});
    const Recording last = rows_of(record(engine, sequences), 2 * 255, 2);
    EXPECT_LE(worst_site(last, record_one(engine, sequences.back())).error, 1e-5);
}

TEST(EngineBatch, AgreesOneByOneOnceHalfPrecisionWeightsAreFloat32) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "f32.gguf", "f32", 1);
    const Model model = Model::open((folder / "f32.gguf").string());
    Engine engine(model, exact());
    const Sequences sequences = random_sequences({17, 1, 40, 8, 1, 23}, 256);
    const WorstSite worst = worst_site(record(engine, sequences), record_one_by_one(engine, sequences));
    EXPECT_LE(worst.error, 1e-5) << worst.site;
}

TEST(EngineBatch, AgreesLooselyOneByOneWithoutExactness) {
    const Model model = Model::open("bytes-llama");
    Engine engine(model, fast());
    const Sequences sequences = random_sequences({17, 1, 40, 8}, 256);
    const WorstSite worst = worst_site(record(engine, sequences), record_one_by_one(engine, sequences));
    EXPECT_LE(worst.error, 5e-3) << worst.site;
}

TEST(EngineBatch, SkipsAnEmptySequence) {
    const Model model = Model::open(golden_model("llama"));
    Engine engine(model, exact());
    Sequences sequences = random_sequences({6, 7}, 256);
    const Recording want = record(engine, sequences);
    sequences.insert(sequences.begin() + 1, Sequence{});
    EXPECT_EQ(worst_site(record(engine, sequences), want).error, 0);
}

TEST(EngineBatch, LeavesNothingBehindForTheNext) {
    const Model model = Model::open(golden_model("llama"));
    Engine engine(model, exact());
    const Sequence sequence = random_sequence(20, 256, 1);
    const Recording first = record_one(engine, sequence);
    run(engine, random_sequences({40, 30}, 256));
    EXPECT_EQ(worst_site(record_one(engine, sequence), first).error, 0);
}

TEST(EngineBatch, MayChangeBetweenTokensAndVectors) {
    const Model model = Model::open(golden_model("gpt2"));
    Engine engine(model, exact());
    const Sequence sequence = random_sequence(20, 256, 1);
    const Recording first = record_one(engine, sequence);
    record_one(engine, as_vectors(model, sequence));
    EXPECT_EQ(worst_site(record_one(engine, sequence), first).error, 0);
}

TEST(EngineBatch, KeepsZeroVectorsZeroUnderRmsNorm) {
    const Model model = Model::open("bytes-llama");
    Engine engine(model, exact());
    Sequence zeros{.tokens = std::vector<std::int32_t>(10, -1)};
    zeros.vectors.assign(static_cast<std::size_t>(10 * model.info().d_model), 0.0f);
    EXPECT_TRUE(record_one(engine, zeros).at("blocks.3.resid_post").isZero());
}

TEST(EngineBatch, ShowsThePositionTableToZeroVectors) {
    const Model model = Model::open("bytes-gpt2");
    Engine engine(model, exact());
    Sequence zeros{.tokens = std::vector<std::int32_t>(10, -1)};
    zeros.vectors.assign(static_cast<std::size_t>(10 * model.info().d_model), 0.0f);
    const Recording recording = record_one(engine, zeros);
    EXPECT_EQ(recording.at("blocks.0.resid_pre"), recording.at("pos_embed"));
}

// Longer than a batch
// ----------------------------------------------------------------------------------------------

class EngineChunks : public testing::Test {
  protected:
    static constexpr std::int64_t kBatch = 2048;  // with 256 tokens in the vocabulary
    static constexpr std::int64_t kMore = 20;

    static Engine make_engine(const Model& model) { return Engine(model, exact(kBatch + 2 * kMore)); }

    /// A sequence longer than a batch, alone and behind another one, which moves the cut.
    static WorstSite compare_cuts(const Model& model) {
        Engine engine = make_engine(model);
        const Sequences sequences = random_sequences({kMore, kBatch + kMore}, 256);
        const Recording cut_earlier = rows_of(record(engine, sequences), kMore, kBatch + kMore);
        return worst_site(cut_earlier, record_one(engine, sequences[1]));
    }
};

TEST_F(EngineChunks, BeginWhereABatchEnds) {
    const Model model = Model::open(golden_model("llama"));
    EXPECT_EQ(make_engine(model).batch_tokens(), kBatch);
}

TEST_F(EngineChunks, AgreeWhereverASequenceIsCut) {
    const WorstSite worst = compare_cuts(Model::open(golden_model("llama")));
    EXPECT_LE(worst.error, 1e-5) << worst.site;
}

TEST_F(EngineChunks, AgreeWhereverASlidingWindowIsCut) {
    const WorstSite worst = compare_cuts(Model::open(golden_model("gemma2")));
    EXPECT_LE(worst.error, 2e-3) << worst.site;  // it has a half-precision GELU
}

TEST_F(EngineChunks, AddUpAndTakeVectors) {
    const Model model = Model::open(golden_model("llama"));
    Engine engine = make_engine(model);
    const Sequence sequence = as_vectors(model, random_sequence(kBatch + kMore, 256, 2));
    EXPECT_EQ(error_of([&] { run(engine, {sequence}, true); }), "");
}

// Which sites
// ------------------------------------------------------------------------------------------------------

TEST(EngineSites, ComeInNetworkOrder) {
    const Model model = Model::open("bytes-gpt2");
    const Engine engine(model, fast());
    EXPECT_TRUE(std::ranges::is_sorted(engine.sites(), network_order, &SiteShape::site));
}

TEST(EngineSites, HaveAWidthThatIsTheProductOfTheirShape) {
    EXPECT_EQ((SiteShape{{Component::z, 0}, {4, 12}}.width()), 48);
}

TEST(EngineSites, OfASubsetAreTheBytesOfAll) {
    const Model model = Model::open("bytes-gpt2");
    Engine engine(model, exact());
    const Sequences sequences = random_sequences({20, 5}, 256);
    const Recording all = record(engine, sequences);
    const std::vector<std::size_t> subset{30, 2, 17};  // in no order
    for (const auto& [site, values] : record(engine, sequences, subset))
        EXPECT_EQ(values, all.at(site)) << site;
}

TEST(EngineSites, MayBeAskedForTwice) {
    const Model model = Model::open("bytes-gpt2");
    Engine engine(model, exact());
    IgnoringTap tap;
    const std::vector<std::size_t> twice{5, 5};
    engine.run(random_sequences({20}, 256), twice, tap);
    EXPECT_EQ(tap.n_taken, 2);
}

TEST(EngineSites, OfNoneRunNothing) {
    const Model model = Model::open("bytes-gpt2");
    Engine engine(model, exact());
    IgnoringTap tap;
    engine.run(random_sequences({20}, 256), {}, tap);
    EXPECT_EQ(tap.n_taken, 0);
}

TEST(EngineSites, OfNoneAreStillChecked) {
    const Model model = Model::open("bytes-gpt2");
    Engine engine(model, exact());
    IgnoringTap tap;
    engine.run(random_sequences({20}, 256), {}, tap, true);
    EXPECT_EQ(tap.n_taken, 0);
}

TEST(EngineSites, AreTheSameBytesWithTheSumsChecked) {
    const Model model = Model::open("bytes-gpt2");
    Engine engine(model, exact());
    const Sequences sequences = random_sequences({20, 5}, 256);
    const Recording unchecked = record(engine, sequences);
    EXPECT_EQ(worst_site(record(engine, sequences, all_sites(engine), true), unchecked).error, 0);
}

TEST(EngineSites, AreTheSameBytesWithOneThreadAndTwo) {
    const Model model = Model::open("bytes-gpt2");
    EngineOptions one = exact(), two = exact();
    one.threads = 1;
    two.threads = 2;
    Engine with_one(model, one), with_two(model, two);
    const Sequences sequences = random_sequences({20, 5}, 256);
    EXPECT_EQ(worst_site(record(with_two, sequences), record(with_one, sequences)).error, 0);
}

// The next batch
// ---------------------------------------------------------------------------------------------------

class NextBatch : public testing::Test {
  protected:
    Model model_ = Model::open(golden_model("llama"));
    Engine engine_{model_, fast(4096)};
    std::size_t n_tokens_ = static_cast<std::size_t>(engine_.batch_tokens());

    static Sequence of_length(std::size_t length) { return {.tokens = std::vector<std::int32_t>(length, 1)}; }
    Sequence vectors_of_length(std::size_t length) const {
        Sequence sequence = of_length(length);
        sequence.vectors.resize(length * static_cast<std::size_t>(model_.info().d_model));
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

// Stopping
// ---------------------------------------------------------------------------------------------------------

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
    Engine engine_{
        model_, {.max_length = 64, .exact = true, .threads = 1, .stop_requested = [this] { return stop_; }}};
    Sequences sequences_ = random_sequences({30, 20}, 256);
};

TEST_F(EngineStop, BeforeABatchThrowsStopped) {
    stop_ = true;
    EXPECT_THROW(run(engine_, sequences_), Stopped);
}

TEST_F(EngineStop, WithinABatchThrowsStopped) {
    ActingTap tap([this] { stop_ = true; });
    EXPECT_THROW(engine_.run(sequences_, all_sites(engine_), tap), Stopped);
}

TEST_F(EngineStop, WithinABatchEndsItSoon) {
    ActingTap tap([this] { stop_ = true; });
    EXPECT_THROW(engine_.run(sequences_, all_sites(engine_), tap), Stopped);
    EXPECT_LE(tap.n_taken, ActingTap::kActs + 3);
}

TEST_F(EngineStop, LeavesTheEngineUsable) {
    const Recording want = record(engine_, sequences_);
    ActingTap tap([this] { stop_ = true; });
    EXPECT_THROW(engine_.run(sequences_, all_sites(engine_), tap), Stopped);
    stop_ = false;
    EXPECT_EQ(worst_site(record(engine_, sequences_), want).error, 0);
}

TEST_F(EngineStop, ByWhatATapThrowsPassesItOn) {
    ActingTap tap([] { throw std::out_of_range("disk full"); });
    EXPECT_THROW(engine_.run(sequences_, all_sites(engine_), tap), std::out_of_range);
}

TEST_F(EngineStop, ByWhatATapThrowsHandsOverNoMore) {
    ActingTap tap([] { throw std::out_of_range("disk full"); });
    EXPECT_THROW(engine_.run(sequences_, all_sites(engine_), tap), std::out_of_range);
    EXPECT_EQ(tap.n_taken, ActingTap::kActs + 1);
}

TEST_F(EngineStop, ByWhatATapThrowsLeavesTheEngineUsable) {
    const Recording want = record(engine_, sequences_);
    ActingTap tap([] { throw std::out_of_range("disk full"); });
    EXPECT_THROW(engine_.run(sequences_, all_sites(engine_), tap), std::out_of_range);
    EXPECT_EQ(worst_site(record(engine_, sequences_), want).error, 0);
}

// Bad input
// --------------------------------------------------------------------------------------------------------

class EngineRefuses : public testing::Test {
  protected:
    Model model_ = Model::open("bytes-gpt2");
    Engine engine_{model_, fast()};

    std::string refusal(const Sequences& sequences) {
        return error_of([&] { run(engine_, sequences); });
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
    EXPECT_EQ(error_of([&] { Engine(model_, fast(129)); }),
              "length 129 is above the context of bytes-gpt2: its position table has 128 rows; use --length "
              "128 or less");
}

TEST_F(EngineRefuses, ALengthOfNothing) {
    EXPECT_EQ(error_of([&] { Engine(model_, fast(0)); }), "a sequence needs at least one token");
}

TEST(EngineAllows, TheWholeOfALearnedTable) {
    const Model model = Model::open("bytes-gpt2");
    Engine engine(model, fast(128));
    EXPECT_EQ(error_of([&] { run(engine, {random_sequence(128, 256, 1)}); }), "");
}

TEST(EngineAllows, ALengthAboveTheContextWherePositionsAreRotary) {
    const Model model = Model::open("bytes-llama");
    Engine engine(model, fast(200));
    EXPECT_EQ(error_of([&] { run(engine, {random_sequence(200, 256, 1)}); }), "");
}

TEST(EngineAllows, SeveralEnginesOnOneModel) {
    const Model model = Model::open(golden_model("llama"));
    Engine first(model, exact()), second(model, exact());
    const Sequence sequence = random_sequence(20, 256, 1);
    EXPECT_EQ(worst_site(record_one(second, sequence), record_one(first, sequence)).error, 0);
}

}  // namespace
}  // namespace tomograph
