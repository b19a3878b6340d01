// A model of two streams: an encoder, and a decoder that attends to what it makes of a source.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine_support.h"
#include "support/errors.h"
#include "support/golden.h"
#include "tomograph/engine/given.h"

namespace tomograph {
namespace {

using namespace test;

Model open_side(Side side) {
    return Model::open(golden_model("t5"), HeldWeights::as_stored, 0, side);
}

/// Targets of these lengths, each with a source of the length beside it.
Sequences pairs(const std::vector<std::int64_t>& targets, const std::vector<std::int64_t>& sources) {
    Sequences sequences = random_sequences(targets, 256);
    for (std::size_t i = 0; i < sequences.size(); ++i)
        sequences[i].source = random_sequence(sources[i], 256, 500 + i).tokens;
    return sequences;
}

class GoldenSide : public testing::TestWithParam<Side> {
  protected:
    bool is_target() const { return GetParam() == Side::target; }
    Golden golden_ = read_golden(is_target() ? "t5-target" : "t5-source");
    Model model_ = open_side(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Sides, GoldenSide, testing::Values(Side::source, Side::target),
                         [](const auto& test) {
                             return std::string(test.param == Side::target ? "Target" : "Source");
                         });

TEST_P(GoldenSide, AgreesWithTransformersAtEverySite) {
    const auto engine = model_.make_engine(exact());
    const Recording recording = record_one(*engine, {.tokens = golden_.tokens, .source = golden_.source});
    const WorstSite worst = worst_site(recording, golden_.sites);
    EXPECT_LE(worst.error, 1e-4) << worst.site << ": remake with tests/golden/models/make.py t5";
    RecordProperty("worst", std::to_string(worst.error) + " at " + worst.site);
}

TEST_P(GoldenSide, AgreesLooselyWithoutExactness) {
    const auto engine = model_.make_engine(fast());
    const Recording recording = record_one(*engine, {.tokens = golden_.tokens, .source = golden_.source});
    const WorstSite worst = worst_site(recording, golden_.sites);
    EXPECT_LE(worst.error, 1e-2) << worst.site;
}

TEST_P(GoldenSide, AddsUpAndKeepsSequencesApart) {
    const auto engine = model_.make_engine(exact());
    const Sequences sequences = pairs({9, 9, 3, 1, 12}, {12, 4, 1, 30, 12});
    EXPECT_EQ(error_of([&] { run(*engine, sequences, true); }), "");
    const WorstSite worst = worst_site(record(*engine, sequences), record_one_by_one(*engine, sequences));
    EXPECT_LE(worst.error, 1e-5) << worst.site;
}

TEST_P(GoldenSide, SaysWhichItIs) {
    EXPECT_EQ(model_.info().side, is_target() ? "target" : "source");
    EXPECT_EQ(model_.info().n_layers, is_target() ? 2 : 3);
    EXPECT_EQ(model_.info().causal, is_target());
    EXPECT_EQ(model_.vocabulary().info().closing_token, 1);
    EXPECT_EQ(model_.vocabulary().info().target_start, is_target() ? std::optional(0) : std::nullopt);
}

class Target : public testing::Test {
  protected:
    Model model_ = open_side(Side::target);
};

TEST_F(Target, SeesAllOfItsSourceAndNothingThatFollowsItself) {
    const auto engine = model_.make_engine(exact());
    Sequences sequences = pairs({9, 6}, {12, 12});
    const Recording before = record(*engine, sequences);
    const auto differs = [&](Eigen::Index begin, Eigen::Index n) {
        return worst_site(rows_of(record(*engine, sequences), begin, n), rows_of(before, begin, n)).error;
    };
    sequences[0].tokens.back() ^= 1;
    EXPECT_EQ(differs(0, 8), 0);
    sequences[0].tokens.back() ^= 1;
    sequences[0].source.back() ^= 1;
    EXPECT_GT(differs(0, 1), 1e-3);
    EXPECT_EQ(differs(9, 6), 0);
}

// Sources fill a batch before the targets do.
TEST_F(Target, ReadsSourcesThatAreFarLonger) {
    const auto engine = model_.make_engine(exact(900));
    const Sequences sequences = pairs({4, 2, 6, 1, 5}, {900, 700, 900, 3, 800});
    ASSERT_EQ(engine->next_batch(sequences), sequences.size());
    const WorstSite worst = worst_site(record(*engine, sequences), record_one_by_one(*engine, sequences));
    EXPECT_LE(worst.error, 1e-5) << worst.site;
}

TEST_F(Target, GoesOnFromAGivenSite) {
    const auto engine = model_.make_engine(exact());
    const Sequences sequences = pairs({9}, {12});
    const Recording whole = record(*engine, sequences);
    std::size_t start = 0, end = 0;
    for (std::size_t i = 0; i < engine->sites().size(); ++i) {
        if (engine->sites()[i].site.name() == "blocks.1.resid_pre") start = i;
        if (engine->sites()[i].site.name() == "ln_final") end = i;
    }
    const Matrix& given = whole.at("blocks.1.resid_pre");
    const std::vector<std::size_t> reads{end};
    RecordingTap tap(*engine, reads, 9);
    engine->run(
        sequences,
        {.reads = reads, .given = Given{start, {given.data(), static_cast<std::size_t>(given.size())}}}, tap);
    EXPECT_EQ(tap.recording.at("ln_final"), whole.at("ln_final"));
}

TEST_F(Target, NeedsASource) {
    const auto engine = model_.make_engine(exact());
    EXPECT_EQ(error_of([&] { run(*engine, random_sequences({4}, 256)); }),
              "golden-t5 has nothing to read a target from: its decoder attends to a source, and a sequence "
              "has none");
    EXPECT_EQ(error_of([&] { run(*engine, pairs({4}, {65})); }),
              "a source is longer than the engine was made for: 65 tokens");
}

TEST_F(Target, GoesOnAsItReads) {
    const Golden golden = read_golden("t5-target");
    const auto engine = model_.make_engine(exact());
    const Sequence sequence{.tokens = golden.tokens, .source = golden.source};
    struct Logits final : Tap {
        void take(const SiteBatch&) override {}
        void take_logits(std::size_t, std::span<const float> of) override {
            last.assign(of.begin(), of.end());
        }
        std::vector<float> last;
    } whole;
    engine->run(std::span(&sequence, 1), {.logits = {sequence.length() - 1}}, whole);
    const auto continuation = model_.make_continuation(exact());
    for (int round = 0; round < 2; ++round) {  // what it read before is forgotten, the source with it
        continuation->restart(round == 0 ? std::span(golden.source).first(5) : std::span(golden.source));
        std::span<const float> logits;
        for (const std::int32_t token : golden.tokens) logits = continuation->read({&token, 1});
        double difference = 0;
        for (std::size_t i = 0; i < logits.size(); ++i)
            difference = std::max<double>(difference, std::abs(logits[i] - whole.last[i]));
        if (round == 0) {
            EXPECT_GT(difference, 1e-2);
        } else {
            EXPECT_LT(difference, 1e-4);
        }
    }
}

TEST_F(Target, DoesNotGoOnWithoutASource) {
    const auto continuation = model_.make_continuation(exact());
    EXPECT_EQ(error_of([&] { continuation->restart(); }),
              "golden-t5 does not go on with a text by itself: its decoder reads a source beside it; give "
              "targets, as lines of --jsonl");
    const Model other = Model::open("bytes-gpt2");
    const std::vector<std::int32_t> source{1, 2};
    EXPECT_EQ(error_of([&] { other.make_continuation(exact())->restart(source); }),
              "bytes-gpt2 reads no source: it has no encoder beside a decoder");
}

TEST(Sides, AreOneInOtherModels) {
    EXPECT_EQ(error_of([] { Model::open("bytes-gpt2", HeldWeights::as_stored, 0, Side::target); }),
              "bytes-gpt2 has no target side: it has no encoder beside its decoder");
    EXPECT_EQ(Model::open("bytes-gpt2").info().side, "");
}

TEST(Sides, GiveNoLogitsWhereTheyEncode) {
    const Model model = open_side(Side::source);
    const auto engine = model.make_engine(exact());
    IgnoringTap tap;
    EXPECT_EQ(error_of([&] { engine->run(random_sequences({4}, 256), {.logits = {3}}, tap); }),
              "golden-t5 gives no logits: it is an encoder, and predicts nothing");
}

}  // namespace
}  // namespace tomograph
