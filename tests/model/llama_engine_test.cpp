#include "tomograph/model/llama_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine_support.h"
#include "support/errors.h"
#include "support/golden.h"
#include "support/temp_folder.h"
#include "tomograph/base/error.h"
#include "tomograph/model/quantize.h"

namespace tomograph {
namespace {

using namespace test;

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
    const auto engine = model_.make_engine(exact());
    const Sequences sequences = random_sequences({17, 1, 40, 8, 1, 23}, 256);
    const Recording together = record(*engine, sequences);
    const bool half_weights = GetParam().starts_with("bytes-");
    for (const auto& [site, alone] : record_one_by_one(*engine, sequences)) {
        const bool float32 = !half_weights && before_gelu(GetParam(), parse_site(site).value());
        EXPECT_LE(row_error(together.at(site), alone), float32 ? 1e-5 : 2e-3) << site;
    }
}

TEST_P(EveryModel, AddsUpWithTokens) {
    const auto engine = model_.make_engine(fast());
    EXPECT_EQ(error_of([&] { run(*engine, random_sequences({40, 3}, 256), true); }), "");
}

TEST_P(EveryModel, AddsUpWithVectors) {
    const auto engine = model_.make_engine(fast());
    Sequences sequences;
    for (const Sequence& sequence : random_sequences({40, 3}, 256))
        sequences.push_back(as_vectors(model_, sequence));
    EXPECT_EQ(error_of([&] { run(*engine, sequences, true); }), "");
}

// gemma3, unlike gemma2, multiplies only the embeddings that it looks up itself by the square root of its
// width: what stands for an embedding must enter as one does all the same.
TEST_P(EveryModel, GivesVectorsWhatItGivesTheTokensTheyStandFor) {
    const auto engine = model_.make_engine(exact());
    const Sequence tokens = random_sequence(40, 256, 1);
    const WorstSite worst =
        worst_site(record_one(*engine, as_vectors(model_, tokens)), record_one(*engine, tokens));
    EXPECT_LE(worst.error, 1e-6) << worst.site;
}

// The order of tokens

TEST(EngineBatch, KeepsTheOrderOfTokens) {
    const Model model = Model::open("bytes-llama");
    const auto engine = model.make_engine(fast());
    const Sequences sequences = random_sequences({5, 1, 40, 2, 9}, 256);
    std::vector<std::int32_t> ids;
    for (const Sequence& sequence : sequences)
        ids.insert(ids.end(), sequence.tokens.begin(), sequence.tokens.end());
    EXPECT_EQ(record(*engine, sequences).at("embed"), model.token_embeddings(ids));
}

TEST(EngineBatch, RunsTwoHundredAndFiftySixSequences) {
    const Model model = Model::open(golden_model("llama"));
    const auto engine = model.make_engine(exact());
    Sequences sequences;
    for (std::int32_t token = 0; token < 256; ++token) sequences.push_back({.tokens = {token, 7}});
    const Recording last = rows_of(record(*engine, sequences), 2 * 255, 2);
    EXPECT_LE(worst_site(last, record_one(*engine, sequences.back())).error, 1e-5);
}

TEST(EngineBatch, AgreesOneByOneOnceHalfPrecisionWeightsAreFloat32) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "f32.gguf", "f32", 1);
    const Model model = Model::open((folder / "f32.gguf").string());
    const auto engine = model.make_engine(exact());
    const Sequences sequences = random_sequences({17, 1, 40, 8, 1, 23}, 256);
    const WorstSite worst = worst_site(record(*engine, sequences), record_one_by_one(*engine, sequences));
    EXPECT_LE(worst.error, 1e-5) << worst.site;
}

TEST(EngineBatch, AgreesLooselyOneByOneWithoutExactness) {
    const Model model = Model::open("bytes-llama");
    const auto engine = model.make_engine(fast());
    const Sequences sequences = random_sequences({17, 1, 40, 8}, 256);
    const WorstSite worst = worst_site(record(*engine, sequences), record_one_by_one(*engine, sequences));
    EXPECT_LE(worst.error, 5e-3) << worst.site;
}

TEST(EngineBatch, SkipsAnEmptySequence) {
    const Model model = Model::open(golden_model("llama"));
    const auto engine = model.make_engine(exact());
    Sequences sequences = random_sequences({6, 7}, 256);
    const Recording want = record(*engine, sequences);
    sequences.insert(sequences.begin() + 1, Sequence{});
    EXPECT_EQ(worst_site(record(*engine, sequences), want).error, 0);
}

TEST(EngineBatch, LeavesNothingBehindForTheNext) {
    const Model model = Model::open(golden_model("llama"));
    const auto engine = model.make_engine(exact());
    const Sequence sequence = random_sequence(20, 256, 1);
    const Recording first = record_one(*engine, sequence);
    run(*engine, random_sequences({40, 30}, 256));
    EXPECT_EQ(worst_site(record_one(*engine, sequence), first).error, 0);
}

TEST(EngineBatch, MayChangeBetweenTokensAndVectors) {
    const Model model = Model::open(golden_model("gpt2"));
    const auto engine = model.make_engine(exact());
    const Sequence sequence = random_sequence(20, 256, 1);
    const Recording first = record_one(*engine, sequence);
    record_one(*engine, as_vectors(model, sequence));
    EXPECT_EQ(worst_site(record_one(*engine, sequence), first).error, 0);
}

TEST(EngineBatch, KeepsZeroVectorsZeroUnderRmsNorm) {
    const Model model = Model::open("bytes-llama");
    const auto engine = model.make_engine(exact());
    Sequence zeros{.tokens = std::vector<std::int32_t>(10, -1)};
    zeros.vectors.assign(static_cast<std::size_t>(10 * model.info().d_model), 0.0f);
    EXPECT_TRUE(record_one(*engine, zeros).at("blocks.3.resid_post").isZero());
}

TEST(EngineBatch, ShowsThePositionTableToZeroVectors) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(exact());
    Sequence zeros{.tokens = std::vector<std::int32_t>(10, -1)};
    zeros.vectors.assign(static_cast<std::size_t>(10 * model.info().d_model), 0.0f);
    const Recording recording = record_one(*engine, zeros);
    EXPECT_EQ(recording.at("blocks.0.resid_pre"), recording.at("pos_embed"));
}

// Longer than a batch

class EngineChunks : public testing::Test {
  protected:
    static constexpr std::int64_t kBatch = 2048;  // with 256 tokens in the vocabulary
    static constexpr std::int64_t kMore = 20;

    static std::unique_ptr<Engine> make_engine(const Model& model) {
        return model.make_engine(exact(kBatch + 2 * kMore));
    }

    /// A sequence longer than a batch, alone and behind another one, which moves the cut.
    static WorstSite compare_cuts(const Model& model) {
        const auto engine = make_engine(model);
        const Sequences sequences = random_sequences({kMore, kBatch + kMore}, 256);
        const Recording cut_earlier = rows_of(record(*engine, sequences), kMore, kBatch + kMore);
        return worst_site(cut_earlier, record_one(*engine, sequences[1]));
    }
};

TEST_F(EngineChunks, BeginWhereABatchEnds) {
    const Model model = Model::open(golden_model("llama"));
    EXPECT_EQ(make_engine(model)->batch_tokens(), kBatch);
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
    const auto engine = make_engine(model);
    const Sequence sequence = as_vectors(model, random_sequence(kBatch + kMore, 256, 2));
    EXPECT_EQ(error_of([&] { run(*engine, {sequence}, true); }), "");
}

// Which sites

TEST(EngineSites, ComeInNetworkOrder) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(fast());
    EXPECT_TRUE(std::ranges::is_sorted(engine->sites(), network_order, &SiteShape::site));
}

TEST(EngineSites, HaveAWidthThatIsTheProductOfTheirShape) {
    EXPECT_EQ((SiteShape{{Component::z, 0}, {4, 12}}.width()), 48);
}

TEST(EngineSites, OfASubsetAreTheBytesOfAll) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(exact());
    const Sequences sequences = random_sequences({20, 5}, 256);
    const Recording all = record(*engine, sequences);
    const std::vector<std::size_t> subset{30, 2, 17};  // in no order
    for (const auto& [site, values] : record(*engine, sequences, subset))
        EXPECT_EQ(values, all.at(site)) << site;
}

TEST(EngineSites, MayBeAskedForTwice) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(exact());
    IgnoringTap tap;
    const std::vector<std::size_t> twice{5, 5};
    engine->run(random_sequences({20}, 256), {.reads = twice}, tap);
    EXPECT_EQ(tap.n_taken, 2);
}

TEST(EngineSites, OfNoneRunNothing) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(exact());
    IgnoringTap tap;
    engine->run(random_sequences({20}, 256), {}, tap);
    EXPECT_EQ(tap.n_taken, 0);
}

TEST(EngineSites, OfNoneAreStillChecked) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(exact());
    IgnoringTap tap;
    engine->run(random_sequences({20}, 256), {.check_sums = true}, tap);
    EXPECT_EQ(tap.n_taken, 0);
}

TEST(EngineSites, AreTheSameBytesWithTheSumsChecked) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(exact());
    const Sequences sequences = random_sequences({20, 5}, 256);
    const Recording unchecked = record(*engine, sequences);
    EXPECT_EQ(worst_site(record(*engine, sequences, all_sites(*engine), true), unchecked).error, 0);
}

TEST(EngineSites, AreTheSameBytesWithOneThreadAndTwo) {
    const Model model = Model::open("bytes-gpt2");
    EngineOptions one = exact(), two = exact();
    one.threads = 1;
    two.threads = 2;
    const auto with_one = model.make_engine(one), with_two = model.make_engine(two);
    const Sequences sequences = random_sequences({20, 5}, 256);
    EXPECT_EQ(worst_site(record(*with_two, sequences), record(*with_one, sequences)).error, 0);
}

}  // namespace
}  // namespace tomograph
