// Models that are no decoder of attention alone: hybrids, and encoders.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "engine_support.h"
#include "support/errors.h"
#include "support/golden.h"
#include "tomograph/base/error.h"

namespace tomograph {
namespace {

using namespace test;

std::set<std::string> components_of(const Engine& engine) {
    std::set<std::string> names;
    for (const SiteShape& shape : engine.sites()) names.emplace(component_name(shape.site.component));
    return names;
}

class Hybrid : public testing::Test {
  protected:
    Model model_ = Model::open(golden_model("lfm2"));
};

TEST_F(Hybrid, HasAMixerWhereALayerDoesNotAttend) {
    const auto engine = model_.make_engine(exact());
    const Recording recording = record_one(*engine, random_sequence(9, 256, 1));
    EXPECT_TRUE(recording.contains("blocks.0.attn_out"));
    EXPECT_TRUE(recording.contains("blocks.1.mixer_out"));
    EXPECT_FALSE(recording.contains("blocks.1.attn_out"));
    EXPECT_FALSE(recording.contains("blocks.1.z"));
}

// Each sequence begins with an empty state, wherever it stands in a batch and however long its neighbours
// are.
TEST_F(Hybrid, ReadsSequencesOfAnyLengthsInOneBatch) {
    const auto engine = model_.make_engine(exact());
    const Sequences sequences = random_sequences({9, 9, 9, 6, 1, 1, 40, 9}, 256);
    const WorstSite worst = worst_site(record(*engine, sequences), record_one_by_one(*engine, sequences));
    EXPECT_LE(worst.error, 1e-5) << worst.site;
}

TEST_F(Hybrid, ReadsMoreSequencesThanItHasStatesFor) {
    const auto engine = model_.make_engine(exact(1024));  // two states: 2,048 tokens a batch
    const Sequences sequences = random_sequences(std::vector<std::int64_t>(40, 12), 256);
    const WorstSite worst = worst_site(record(*engine, sequences), record_one_by_one(*engine, sequences));
    EXPECT_LE(worst.error, 1e-5) << worst.site;
}

// A state is carried from piece to piece, also past the last node that was asked for.
TEST_F(Hybrid, CarriesItsStateWhereASequenceIsCut) {
    const auto engine = model_.make_engine(exact(2100));
    const Sequence sequence = random_sequence(2068, 256, 3);
    const Recording all = record_one(*engine, sequence);
    for (std::size_t i = 0; i < engine->sites().size(); ++i) {
        const std::string name = engine->sites()[i].site.name();
        if (name != "blocks.1.ln1" && name != "blocks.1.mixer_out") continue;
        const Recording one = record(*engine, std::span(&sequence, 1), std::vector<std::size_t>{i});
        EXPECT_EQ(one.at(name), all.at(name)) << name;
    }
    // What a convolution of three sees right behind the cut is not what it sees at a sequence's beginning.
    Sequence rest{.tokens = {sequence.tokens.begin() + 2048, sequence.tokens.end()}};
    const Recording alone = record_one(*engine, rest);
    const Matrix behind = all.at("blocks.1.mixer_out").middleRows(2048, 1);
    EXPECT_GT(row_error(alone.at("blocks.1.mixer_out").topRows(1), behind), 1e-3);
}

TEST_F(Hybrid, GoesOnWithATextFromItsState) {
    const auto continuation = model_.make_continuation(exact());
    const std::vector<std::int32_t> tokens = random_sequence(12, 256, 4).tokens;
    const auto whole = continuation->read(tokens);
    const std::vector<float> want(whole.begin(), whole.end());
    continuation->restart();
    std::vector<float> got;
    for (const std::int32_t token : tokens) {
        const auto logits = continuation->read({&token, 1});
        got.assign(logits.begin(), logits.end());
    }
    for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-3);
}

class Encoder : public testing::Test {
  protected:
    Model model_ = Model::open(golden_path("encoders/bert.gguf"));
};

TEST_F(Encoder, HasAStreamThatIsNormedBehindEachAddition) {
    const auto engine = model_.make_engine(exact());
    EXPECT_EQ(components_of(*engine),
              (std::set<std::string>{"embed", "pos_embed", "resid_pre", "ln1", "z", "attn_out", "resid_mid",
                                     "ln2", "mlp_out", "resid_post"}));
    EXPECT_EQ(error_of([&] { run(*engine, random_sequences({12, 3}, 256), true); }), "");
}

TEST_F(Encoder, NormsWhatItAddedUp) {
    const auto engine = model_.make_engine(exact());
    const Recording recording = record_one(*engine, random_sequence(9, 256, 1));
    const Matrix sum = recording.at("blocks.0.resid_pre") + recording.at("blocks.0.attn_out");
    EXPECT_LE(row_error(sum, recording.at("blocks.0.resid_mid")), 1e-6);
    const Matrix post = recording.at("blocks.0.ln1") + recording.at("blocks.0.mlp_out");
    EXPECT_LE(row_error(post, recording.at("blocks.0.resid_post")), 1e-6);
}

TEST_F(Encoder, SeesWhatFollowsAndNoOtherSequence) {
    const auto engine = model_.make_engine(exact());
    EXPECT_FALSE(model_.info().causal);
    Sequences sequences = random_sequences({9, 12}, 256);
    const Recording first = record(*engine, sequences);
    sequences[0].tokens.back() ^= 1;
    const Recording second = record(*engine, sequences);
    const auto difference = [&](Eigen::Index begin, Eigen::Index n) {
        return worst_site(rows_of(second, begin, n), rows_of(first, begin, n)).error;
    };
    EXPECT_GT(difference(0, 1), 1e-3);
    EXPECT_EQ(difference(9, 12), 0);
}

TEST_F(Encoder, PredictsNothing) {
    EXPECT_EQ(
        error_of([&] { model_.make_continuation(exact()); }),
        "bert does not go on with a text: its tokens see those that follow them, and none is predicted");
}

}  // namespace
}  // namespace tomograph
