#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine_support.h"
#include "support/errors.h"
#include "support/golden.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;

std::size_t index_of(const Engine& engine, const std::string& name) {
    const auto& sites = engine.sites();
    const auto found = std::ranges::find_if(sites, [&](const SiteShape& s) { return s.site.name() == name; });
    if (found == sites.end()) throw std::runtime_error("no site " + name);
    return static_cast<std::size_t>(found - sites.begin());
}

bool has_site(const Engine& engine, const std::string& name) {
    return std::ranges::any_of(engine.sites(), [&](const SiteShape& s) { return s.site.name() == name; });
}

using Change = std::function<void(const WriteBatch&)>;

const Change kNothing = [](const WriteBatch&) {};
const Change kZeros = [](const WriteBatch& batch) {
    std::fill_n(batch.data, batch.n_tokens * batch.width, 0.0f);
};
const Change kTwice = [](const WriteBatch& batch) {
    for (std::int64_t i = 0; i < batch.n_tokens * batch.width; ++i) batch.data[i] *= 2;
};
const Change kReversed = [](const WriteBatch& batch) {
    for (std::int64_t token = 0; token < batch.n_tokens; ++token)
        std::reverse(batch.data + token * batch.width, batch.data + (token + 1) * batch.width);
};
Change adding(std::vector<float> vector) {
    return [vector](const WriteBatch& batch) {
        for (std::int64_t i = 0; i < batch.n_tokens * batch.width; ++i)
            batch.data[i] += vector[static_cast<std::size_t>(i % batch.width)];
    };
}

/// Every site, while one site (by name) is written.
Recording written(Engine& engine, const Sequences& batch, const std::string& site, const Change& change,
                  bool check_sums = false) {
    std::int64_t n_tokens = 0;
    for (const Sequence& sequence : batch) n_tokens += sequence.length();
    const auto sites = all_sites(engine);
    RecordingTap tap(engine, sites, n_tokens);
    engine.run(batch,
               {.reads = sites, .writes = {{index_of(engine, site), change}}, .check_sums = check_sums}, tap);
    tap.expect_all_taken();
    return std::move(tap.recording);
}

/// The sites whose values differ in any bit.
std::vector<std::string> changed(const Engine& engine, const Recording& got, const Recording& want) {
    std::vector<std::string> names;
    for (const SiteShape& shape : engine.sites()) {
        const std::string name = shape.site.name();
        const Matrix &a = got.at(name), &b = want.at(name);
        if (std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) != 0)
            names.push_back(name);
    }
    return names;
}

class EveryModelWritten : public testing::TestWithParam<std::string> {
  protected:
    Model model_ = Model::open(GetParam().starts_with("bytes-") ? GetParam() : golden_model(GetParam()));
    std::unique_ptr<Engine> engine_ = model_.make_engine(exact());
    Sequences sequences_ = random_sequences({17, 1, 9}, 256);
    Recording plain_ = record(*engine_, sequences_);

    /// What a block's attention (or MLP) adds to, and what comes of it.
    std::string before_mlp() const {
        return has_site(*engine_, "blocks.0.resid_mid") ? "blocks.0.resid_mid" : "blocks.0.resid_pre";
    }
};
INSTANTIATE_TEST_SUITE_P(Writes, EveryModelWritten, testing::ValuesIn([] {
                             std::vector<std::string> names = golden_models();
                             names.insert(names.end(), embedded_models().begin(), embedded_models().end());
                             names.emplace_back("families/deepseek4");  // several streams
                             return names;
                         }()),
                         [](const auto& test) {
                             std::string name = test.param;
                             std::ranges::replace(name, '-', '_');
                             std::ranges::replace(name, '/', '_');
                             return name;
                         });

TEST(Given, IsRefusedWhereASiteBeforeItIsWanted) {
    const Model model = Model::open("bytes-llama");
    const auto engine = model.make_engine(exact());
    const Sequences sequences = random_sequences({5}, 256);
    const std::vector<float> values(5 * 128);
    IgnoringTap tap;
    const auto run = [&](const std::string& read) {
        return error_of([&] {
            engine->run(sequences,
                        {.reads = {index_of(*engine, read)},
                         .given = Given{index_of(*engine, "blocks.1.resid_post"), values}},
                        tap);
        });
    };
    EXPECT_EQ(run("blocks.1.attn_out"),
              "bytes-llama cannot begin at blocks.1.resid_post: a site before it is wanted");
    EXPECT_EQ(run("blocks.1.resid_post"), "");
    EXPECT_EQ(run("ln_final"), "");
}

TEST_P(EveryModelWritten, StaysTheSameToTheBitWhereNothingIsChanged) {
    Plan plan{.reads = all_sites(*engine_)};
    for (std::size_t site = 0; site < engine_->sites().size(); ++site)
        plan.writes.push_back({site, kNothing});
    RecordingTap tap(*engine_, plan.reads, 27);
    engine_->run(sequences_, plan, tap);
    EXPECT_EQ(changed(*engine_, tap.recording, plain_), std::vector<std::string>{});
}

// From every site on, what is given makes up for all that came before: to the bit, with a change on the way,
// and the next batch runs whole again.
TEST_P(EveryModelWritten, GoesOnFromWhatIsGivenAsThoughItHadBeenComputed) {
    const auto sites = all_sites(*engine_);
    const std::size_t last = sites.size() - 1;
    for (const std::size_t start : sites) {
        const Matrix& values = plain_.at(engine_->sites()[start].site.name());
        Plan plan{.reads = {last},
                  .writes = {{start, kTwice}},
                  .given = Given{start, {values.data(), static_cast<std::size_t>(values.size())}}};
        RecordingTap given(*engine_, plan.reads, 27), whole(*engine_, plan.reads, 27);
        engine_->run(sequences_, plan, given);
        plan.given.reset();
        engine_->run(sequences_, plan, whole);
        const std::string name = engine_->sites()[start].site.name();
        // Where several branches read the stream, only the stream stands for all that came before.
        if (engine_->sites()[start].site.component == Component::resid_post ||
            engine_->sites()[start].site.component == Component::resid_pre)
            EXPECT_EQ(given.recording, whole.recording) << name;
        else
            EXPECT_LT(row_error(given.recording.begin()->second, whole.recording.begin()->second), 1e-5)
                << name;
    }
    EXPECT_EQ(changed(*engine_, record(*engine_, sequences_), plain_), std::vector<std::string>{});
}

// Nothing is written for show: a change is seen at its site and by what reads it up to the last norm, and by
// nothing before it.
TEST_P(EveryModelWritten, ShowsAChangeFromItsSiteOn) {
    for (const SiteShape& shape : engine_->sites()) {
        const std::string name = shape.site.name();
        const Recording got = written(*engine_, sequences_, name, kReversed);
        EXPECT_EQ(got.at(name), plain_.at(name).rowwise().reverse()) << name;
        const auto names = changed(*engine_, got, plain_);
        for (const std::string& other : names) {
            const Site site = parse_site(other).value();
            // One value with two names: a block's resid_pre is the resid_post of the one before it, and where
            // nothing is added to the embedding the first one is that.
            const bool same = shape.site.component == Component::resid_pre &&
                              (site.layer + 1 == shape.site.layer && site.component == Component::resid_post);
            const bool same_as_stem = name == "blocks.0.resid_pre" && other == "embed";
            EXPECT_TRUE(same || same_as_stem || site == shape.site || network_order(shape.site, site))
                << name << " changes " << other;
        }
        EXPECT_TRUE(std::ranges::find(names, "ln_final") != names.end()) << name << " does not reach the end";
    }
}

TEST_P(EveryModelWritten, LosesWhatAttentionAddsWhereThatIsZero) {
    if (!has_site(*engine_, "blocks.0.resid_mid")) GTEST_SKIP() << "attention and MLP run in parallel";
    if (has_site(*engine_, "blocks.0.attn_hc_post")) GTEST_SKIP() << "there are several streams";
    const Recording got = written(*engine_, sequences_, "blocks.0.attn_out", kZeros, true);
    EXPECT_EQ(got.at("blocks.0.resid_mid"), got.at("blocks.0.resid_pre"));
    EXPECT_EQ(got.at("blocks.0.resid_pre"), plain_.at("blocks.0.resid_pre"));
    EXPECT_NE(got.at("blocks.1.mlp_out"), plain_.at("blocks.1.mlp_out"));
}

TEST_P(EveryModelWritten, LosesWhatAParallelBlockAddsWhereBothAreZero) {
    if (has_site(*engine_, "blocks.0.resid_mid")) GTEST_SKIP() << "attention and MLP follow each other";
    const auto sites = all_sites(*engine_);
    RecordingTap tap(*engine_, sites, 27);
    engine_->run(sequences_,
                 {.reads = sites,
                  .writes = {{index_of(*engine_, "blocks.0.attn_out"), kZeros},
                             {index_of(*engine_, "blocks.0.mlp_out"), kZeros}},
                  .check_sums = true},
                 tap);
    EXPECT_EQ(tap.recording.at("blocks.0.resid_post"), tap.recording.at("blocks.0.resid_pre"));
}

TEST_P(EveryModelWritten, GainsAVectorThatIsAddedToTheMlp) {
    if (has_site(*engine_, "blocks.0.attn_hc_post")) GTEST_SKIP() << "there are several streams";
    const auto width = static_cast<std::size_t>(model_.info().d_model);
    std::vector<float> vector(width);
    for (std::size_t i = 0; i < width; ++i) vector[i] = i % 3 == 0 ? 0.5f : -0.25f;
    const Recording got = written(*engine_, sequences_, "blocks.0.mlp_out", adding(vector), true);
    const Matrix want = plain_.at("blocks.0.resid_post").rowwise() +
                        Eigen::Map<const Eigen::RowVectorXf>(vector.data(), model_.info().d_model);
    EXPECT_LE(row_error(got.at("blocks.0.resid_post"), want), 1e-6);
    EXPECT_EQ(got.at(before_mlp()), plain_.at(before_mlp()));
    EXPECT_NE(got.at("blocks.1.mlp_out"), plain_.at("blocks.1.mlp_out"));
}

// The stream put in place of itself from another run: from there on everything is the other run.
TEST_P(EveryModelWritten, BecomesAnotherRunWhereItsStreamDoes) {
    Sequences others = sequences_;
    for (Sequence& sequence : others)
        for (std::int32_t& token : sequence.tokens) token = (token + 50) % 256;
    const Recording other = record(*engine_, others);
    const Matrix& stream = other.at("blocks.1.resid_pre");
    const Recording got = written(*engine_, sequences_, "blocks.1.resid_pre", [&](const WriteBatch& batch) {
        std::copy_n(stream.data() + batch.first_token * batch.width, batch.n_tokens * batch.width,
                    batch.data);
    });
    EXPECT_EQ(got.at("blocks.1.resid_post"), other.at("blocks.1.resid_post"));
    EXPECT_EQ(got.at("ln_final"), other.at("ln_final"));
    EXPECT_EQ(got.at("blocks.0.attn_out"), plain_.at("blocks.0.attn_out"));
}

TEST_P(EveryModelWritten, SeesItsVectorsWritten) {
    Sequences vectors;
    for (const Sequence& sequence : sequences_) vectors.push_back(as_vectors(model_, sequence));
    const Recording plain = record(*engine_, vectors);
    Sequences twice;
    for (const Sequence& sequence : sequences_) twice.push_back(as_vectors(model_, sequence, 2));
    const Recording want = record(*engine_, twice);
    EXPECT_EQ(changed(*engine_, written(*engine_, vectors, "embed", kTwice), want),
              std::vector<std::string>{});
    EXPECT_EQ(changed(*engine_, record(*engine_, vectors), plain), std::vector<std::string>{});
}

TEST_P(EveryModelWritten, GivesLogits) {
    struct LogitTap final : Tap {
        void take(const SiteBatch&) override {}
        void take_logits(std::size_t which, std::span<const float> values) override {
            logits[which].assign(values.begin(), values.end());
        }
        std::map<std::size_t, std::vector<float>> logits;
    };
    const auto logits_of = [&](const Plan& plan) {
        LogitTap tap;
        engine_->run(sequences_, plan, tap);
        return tap.logits;
    };
    const auto all = logits_of({.logits = {0, 5, 16, 17, 26}});
    ASSERT_EQ(all.size(), 5u);
    for (const auto& [which, values] : all) {
        EXPECT_EQ(values.size(), 256u);
        EXPECT_TRUE(std::ranges::all_of(values, [](float v) { return std::isfinite(v); }));
        EXPECT_NE(std::ranges::max(values), std::ranges::min(values));
    }
    // The same token by token, and with everything read beside it.
    EXPECT_EQ(logits_of({.reads = all_sites(*engine_), .logits = {5}}).at(0), all.at(1));
    EXPECT_EQ(logits_of({.reads = {0}, .logits = {26}}).at(0), all.at(4));
    const std::size_t last = index_of(*engine_, "ln_final");
    EXPECT_EQ(logits_of({.writes = {{last, kNothing}}, .logits = {5}}).at(0), all.at(1));
    EXPECT_NE(logits_of({.writes = {{last, kTwice}}, .logits = {5}}).at(0), all.at(1));
    EXPECT_TRUE(logits_of({.reads = {last}}).empty());
}

TEST(Writes, HappenInTheirOrderAndBeforeReads) {
    const Model model = Model::open("bytes-llama");
    const auto engine = model.make_engine(exact());
    const Sequences sequences = random_sequences({6}, 256);
    const std::size_t site = index_of(*engine, "blocks.2.mlp_out");
    const std::vector<std::size_t> reads{site};
    RecordingTap tap(*engine, reads, 6);
    const Change one = [](const WriteBatch& batch) {
        std::fill_n(batch.data, batch.n_tokens * batch.width, 1.0f);
    };
    engine->run(sequences, {.reads = reads, .writes = {{site, one}, {site, kTwice}}}, tap);
    EXPECT_TRUE(tap.recording.at("blocks.2.mlp_out").isConstant(2));
}

TEST(Writes, OfWhatNothingReadsStillHappen) {
    const Model model = Model::open("bytes-llama");
    const auto engine = model.make_engine(exact());
    int written = 0;
    IgnoringTap tap;
    engine->run(
        random_sequences({6}, 256),
        {.reads = {0}, .writes = {{engine->sites().size() - 1, [&](const WriteBatch&) { ++written; }}}}, tap);
    EXPECT_EQ(written, 1);
}

TEST(Writes, ComeInPiecesWhereASequenceDoes) {
    const Model model = Model::open(golden_model("llama"));
    const auto engine = model.make_engine(exact(2100));
    const Sequences sequences{random_sequence(2100, 256, 3)};
    std::vector<std::int64_t> first;
    const Recording got = written(*engine, sequences, "blocks.0.attn_out", [&](const WriteBatch& batch) {
        first.push_back(batch.first_token);
        kZeros(batch);
    });
    EXPECT_EQ(first, (std::vector<std::int64_t>{0, 2048}));
    EXPECT_EQ(got.at("blocks.0.resid_mid"), got.at("blocks.0.resid_pre"));
}

TEST(Writes, LeaveNothingBehind) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(exact());
    const Sequences sequences = random_sequences({6}, 256);
    const Recording plain = record(*engine, sequences);
    written(*engine, sequences, "pos_embed", kTwice);
    written(*engine, sequences, "embed", kZeros);
    EXPECT_EQ(changed(*engine, record(*engine, sequences), plain), std::vector<std::string>{});
}

TEST(Writes, PassOnWhatTheyThrow) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(exact());
    const Sequences sequences = random_sequences({6}, 256);
    const Recording plain = record(*engine, sequences);
    EXPECT_THROW(written(*engine, sequences, "blocks.1.z",
                         [](const WriteBatch&) { throw std::out_of_range("no such head"); }),
                 std::out_of_range);
    EXPECT_EQ(changed(*engine, record(*engine, sequences), plain), std::vector<std::string>{});
}

TEST(Writes, OfASiteThatIsNotThereAreRefused) {
    const Model model = Model::open("bytes-gpt2");
    const auto engine = model.make_engine(exact());
    IgnoringTap tap;
    EXPECT_EQ(error_of([&] { engine->run(random_sequences({6}, 256), {.writes = {{999, kNothing}}}, tap); }),
              fmt::format("no site 999: the model has {} sites", engine->sites().size()));
}

}  // namespace
}  // namespace tomograph
