#include "tomograph/capture/capture.h"
#include "tomograph/model/model.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "capture/capture_support.h"
#include "tomograph/select/selection.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

// Vectors, norms, means
// -------------------------------------------------------------------------------------------------------------

class CaptureAsType : public Capture, public testing::WithParamInterface<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Capture, CaptureAsType, testing::Values(Dtype::f32, Dtype::f16, Dtype::bf16),
                         [](const auto& test) { return std::string(dtype_name(test.param)); });

TEST_P(CaptureAsType, KeepsWhatTheEngineShowsRoundedOnce) {
    CaptureOptions how = options();
    how.dtype = GetParam();
    const auto run = take(how);
    const Recording want = tapped();
    ASSERT_EQ(run.sites().size(), want.size());
    for (const SiteShape& site : run.sites()) {
        Matrix rounded = want.at(site.site.name());
        const auto n = static_cast<std::size_t>(rounded.size());
        std::vector<std::uint16_t> halves(n);
        if (GetParam() == Dtype::f16) {
            to_f16(rounded.data(), halves.data(), n);
            from_f16(halves.data(), rounded.data(), n);
        } else if (GetParam() == Dtype::bf16) {
            to_bf16(rounded.data(), halves.data(), n);
            from_bf16(halves.data(), rounded.data(), n);
        }
        EXPECT_EQ(rows_of_site(run, site), rounded) << site.site.name();
    }
}

TEST_P(CaptureAsType, WritesThatType) {
    CaptureOptions how = options();
    how.dtype = GetParam();
    take(how);
    EXPECT_EQ(Safetensors(out() / "shards/000000.safetensors").at("embed").dtype, GetParam());
}

// Each token's vectors are those of a sequence of its last few tokens.
TEST_F(Capture, OfAShortContextIsThatOfShortSequences) {
    CaptureOptions how = options();
    how.exact = how.scores = true;
    how.context = 4;
    const auto run = take(how);
    EXPECT_EQ(run.json().at("capture").at("context"), 4);
    const auto engine = model_.make_engine({.max_length = 4, .exact = true, .threads = 1});
    std::int64_t token = 0;
    for (const Sequence& sequence : prompts_.sequences) {
        for (std::int64_t t = 0; t < sequence.length(); ++t, ++token) {
            const std::int64_t first = std::max<std::int64_t>(0, t - 3);
            const Sequence last{.tokens = {sequence.tokens.begin() + first, sequence.tokens.begin() + t + 1}};
            const Recording want = record(*engine, std::span(&last, 1));
            for (const SiteShape& site : run.sites()) {
                Matrix row(1, site.width());
                run.read_rows(site.site, token, token + 1, row.data());
                const Matrix& values = want.at(site.site.name());
                ASSERT_TRUE(row.isApprox(values.bottomRows(1), 1e-4f)) << site.site.name() << " at " << token;
            }
        }
    }
    EXPECT_EQ(token, run.n_tokens());
    // What only two tokens stand before is expected as ever, what more stand before is not.
    how.context = 0;
    const auto whole =
        (capture(model_, prompts_, folder_ / "whole", how, no_progress()), open_run(folder_ / "whole"));
    const auto own = whole.score("logprob"), cut = run.score("logprob");
    int differ = 0;
    for (std::size_t t = 0; t < own.size(); ++t) {
        if (std::isnan(own[t])) continue;
        if (run.tokens().position[t] <= 4)
            EXPECT_NEAR(own[t], cut[t], 1e-3) << t;
        else
            differ += std::abs(own[t] - cut[t]) > 1e-3f;
    }
    EXPECT_GT(differ, 5);
}

TEST_F(Capture, KeepsTheShapeOfHeads) {
    take(options());
    EXPECT_EQ(Safetensors(out() / "shards/000000.safetensors").at("blocks.1.z").shape,
              (std::vector<std::int64_t>{36, 4, 8}));
}

TEST_F(Capture, KeepsNormsOfEveryToken) {
    const auto run = take(options());
    for (const auto& [name, values] : tapped()) {
        const auto norms = run.norms(parse_site(name).value());
        for (Eigen::Index token = 0; token < values.rows(); ++token)
            ASSERT_NEAR(norms.at(static_cast<std::size_t>(token)) / values.row(token).cast<double>().norm(),
                        1, 1e-6)
                << name << " at " << token;
    }
}

/// Means by position in float64.
Matrix means_by_position(const Matrix& values, const TokenTable& tokens, std::int64_t length,
                         std::int32_t outside) {
    MatrixD sums = MatrixD::Zero(length, values.cols());
    VectorD counts = VectorD::Zero(length);
    for (Eigen::Index t = 0; t < values.rows(); ++t) {
        const auto i = static_cast<std::size_t>(t);
        if (outside >= 0 && tokens.label[i] == outside) continue;
        sums.row(tokens.position[i]) += values.row(t).cast<double>();
        counts[tokens.position[i]] += 1;
    }
    return (counts.cwiseInverse().asDiagonal() * sums).cast<float>();
}

TEST_F(Capture, KeepsMeansByPosition) {
    const auto run = take(options());
    for (const auto& [name, values] : tapped()) {
        const Matrix want = means_by_position(values, run.tokens(), run.length(), -1);
        EXPECT_LE(row_error(run.means(parse_site(name).value()), want), 1e-6) << name;
    }
}

TEST_F(Capture, LeavesALabelOutOfTheMeans) {
    prompts_ = random_prompts({6, 6, 6});
    prompts_.labels = {"random", "constant"};
    for (std::size_t s = 0; s < 3; ++s) prompts_.sequences[s].labels.assign(6, s == 1 ? 1 : 0);
    prompts_.label_outside_means = 1;
    const auto run = take(options());
    const Matrix values = tapped().at("blocks.2.resid_post");
    const Matrix want = means_by_position(values, run.tokens(), 6, 1);
    EXPECT_LE(row_error(run.means({Component::resid_post, 2}), want), 1e-5);
    EXPECT_EQ(run.json().at("means_without_label"), "constant");
}

TEST_F(Capture, TakesVectorsForInput) {
    Sequence sequence = random_sequence(7, 256, 1);
    const Matrix rows = model_.token_embeddings(sequence.tokens);
    sequence.vectors.assign(rows.data(), rows.data() + rows.size());
    sequence.tokens.assign(7, -1);
    prompts_ = random_prompts({7});
    prompts_.sequences = {sequence};
    const auto run = take(options());
    EXPECT_EQ(rows_of_site(run, run.site({Component::embed, -1})), rows);
    EXPECT_EQ(run.tokens().token_id.at(3), -1);
    EXPECT_EQ(run.pieces().at(3), "");
}

// The folder
// -------------------------------------------------------------------------------------------------------------

TEST_F(Capture, WritesTheFilesOfARun) {
    take(options());
    EXPECT_EQ(names_of(out()),
              (std::set<std::string>{"plan.json", "run.json", "tokens.jsonl", "tokens.safetensors",
                                     "stats/norms.safetensors", "shards/000000.json",
                                     "shards/000000.safetensors", "shards/000000.stats.safetensors"}));
}

TEST_F(Capture, WritesNoVectorsOnRequest) {
    CaptureOptions how = options();
    how.vectors = false;
    const auto run = take(how);
    EXPECT_EQ(names_of(out()),
              (std::set<std::string>{"plan.json", "run.json", "tokens.jsonl", "tokens.safetensors",
                                     "stats/norms.safetensors", "shards/000000.json",
                                     "shards/000000.stats.safetensors"}));
    EXPECT_EQ(run.n_rows(), 0);
    EXPECT_TRUE(run.complete());
}

TEST_F(Capture, IsComplete) {
    EXPECT_TRUE(take(options()).complete());
}

TEST_F(Capture, KeepsTheTokens) {
    const auto run = take(options());
    std::vector<std::int32_t> ids;
    for (const Sequence& sequence : prompts_.sequences)
        ids.insert(ids.end(), sequence.tokens.begin(), sequence.tokens.end());
    EXPECT_EQ(run.tokens().token_id, ids);
    EXPECT_EQ(run.tokens().position.at(14), 0);
    EXPECT_EQ(run.tokens().sequence.at(14), 2);
}

TEST_F(Capture, KeepsPiecesThatAreNotUtf8) {
    prompts_ = random_prompts({3});
    prompts_.sequences[0].tokens = {0xff, 'a', 0};
    EXPECT_EQ(take(options()).pieces(), (std::vector<std::string>{"\xff", "a", std::string(1, '\0')}));
}

TEST_F(Capture, KeepsLabels) {
    prompts_ = random_prompts({3});
    prompts_.labels = {"context", "question"};
    prompts_.sequences[0].labels = {-1, 1, 0};
    const auto run = take(options());
    EXPECT_EQ(run.labels(), prompts_.labels);
    EXPECT_EQ(run.tokens().label, prompts_.sequences[0].labels);
    const Json line = Json::parse(read_file(out() / "tokens.jsonl"));
    EXPECT_EQ(line.at("labels"), Json::array({nullptr, "question", "context"}));
}

TEST_F(Capture, ListsChecksumsOfItsShards) {
    CaptureOptions how = options();
    how.shard_bytes = 1;
    prompts_ = random_prompts(std::vector<std::int64_t>(600, 1));
    const auto run = take(how);
    ASSERT_EQ(run.json().at("shards").size(), 3u);
    std::vector<Json> files(run.json().at("tokens").begin(), run.json().at("tokens").end());
    files.insert(files.end(), run.json().at("stats").begin(), run.json().at("stats").end());
    for (const Json& shard : run.json().at("shards"))
        files.insert(files.end(), shard.at("files").begin(), shard.at("files").end());
    ASSERT_EQ(files.size(), 2u + 1u + 3u * 2u);
    for (const Json& entry : files) {
        const MappedFile file(out() / entry.at("file").get<std::string>());
        EXPECT_EQ(entry.at("xxh3_128"), xxh3_128(file.bytes())) << entry;
        EXPECT_EQ(entry.at("bytes"), file.bytes().size()) << entry;
    }
}

TEST_F(Capture, SumsItself) {
    const auto run = take(options());
    EXPECT_EQ(summary_.n_sequences, 5);
    EXPECT_EQ(summary_.n_tokens, 36);
    EXPECT_EQ(summary_.n_rows, 36);
    EXPECT_EQ(summary_.n_sites, run.sites().size());
    EXPECT_EQ(summary_.bytes, fs::file_size(out() / "shards/000000.safetensors"));
    EXPECT_EQ(run.json().at("n_rows"), 36);
}

TEST_F(Capture, SaysHowItWasMade) {
    CaptureOptions how = options();
    how.dtype = Dtype::bf16;
    how.exact = true;
    how.seed = 9;
    how.sample = 0.5;
    const Json json = take(how).json();
    EXPECT_EQ(json.at("format"), kRunFormat);
    EXPECT_EQ(json.at("capture").at("dtype"), "BF16");
    EXPECT_EQ(json.at("capture").at("exact"), true);
    EXPECT_EQ(json.at("capture").at("seed"), 9);
    EXPECT_EQ(json.at("capture").at("sample"), 0.5);
    EXPECT_EQ(json.at("model").at("architecture"), "llama");
    EXPECT_EQ(json.at("prompts").at("kind"), "text");
}

TEST_F(Capture, MakesTheSameBytesTwice) {
    prompts_ = random_prompts({30, 17, 2});
    CaptureOptions how = options();
    how.sample = 0.5;
    capture(model_, prompts_, folder_ / "one", how, no_progress());
    capture(model_, prompts_, folder_ / "two", how, no_progress());
    EXPECT_EQ(files_of(folder_ / "one"), files_of(folder_ / "two"));
}

TEST_F(Capture, MakesTheSameBytesWithTwoThreads) {
    CaptureOptions how = options();
    capture(model_, prompts_, folder_ / "one", how, no_progress());
    how.threads = 2;
    capture(model_, prompts_, folder_ / "two", how, no_progress());
    EXPECT_EQ(files_of(folder_ / "one"), files_of(folder_ / "two"));
}

TEST_F(Capture, ReportsItsTokens) {
    struct Counting final : Progress {
        void begin(const std::string&, std::int64_t total, const std::string& unit) override {
            all = total;
            what = unit;
        }
        void update(std::int64_t n) override { done = n; }
        std::int64_t all = 0, done = 0;
        std::string what;
    } progress;
    capture(model_, prompts_, out(), options(), progress);
    EXPECT_EQ(progress.all, 36);
    EXPECT_EQ(progress.done, 36);
    EXPECT_EQ(progress.what, "tokens");
}

// Restrictions
// -------------------------------------------------------------------------------------------------------------

TEST_F(Capture, KeepsSomePositionsOnly) {
    CaptureOptions how = options();
    how.positions = {1, 3};
    const auto run = take(how);
    EXPECT_EQ(run.rows(), (std::vector<std::int32_t>{1, 2, 10, 11, 16, 17, 28, 29}));
    const Matrix all = tapped().at("blocks.1.z");
    const Matrix rows = rows_of_site(run, run.site({Component::z, 1}));
    for (std::size_t i = 0; i < run.rows().size(); ++i)
        EXPECT_EQ(rows.row(static_cast<Eigen::Index>(i)), all.row(run.rows()[i]));
}

TEST_F(Capture, KeepsNormsOfEveryPositionNevertheless) {
    CaptureOptions how = options();
    how.positions = {1, 3};
    EXPECT_EQ(take(how).norms({Component::embed, -1}).size(), 36u);
}

TEST_F(Capture, KeepsASampleOfAboutTheSizeAskedFor) {
    prompts_ = random_prompts(std::vector<std::int64_t>(40, 25));
    CaptureOptions how = options();
    how.sample = 0.2;
    how.components = {Component::embed};
    const auto run = take(how);
    EXPECT_NEAR(static_cast<double>(run.n_rows()), 200, 45);  // three and a half standard deviations
}

TEST_F(Capture, KeepsTheVectorsOfItsSample) {
    CaptureOptions how = options();
    how.sample = 0.3;
    const auto run = take(how);
    const Matrix all = tapped().at("blocks.2.mlp_out");
    const Matrix rows = rows_of_site(run, run.site({Component::mlp_out, 2}));
    ASSERT_GT(run.n_rows(), 0);
    for (std::size_t i = 0; i < run.rows().size(); ++i)
        EXPECT_EQ(rows.row(static_cast<Eigen::Index>(i)), all.row(run.rows()[i]));
}

TEST_F(Capture, KeepsTheSameSampleByTheSameSeed) {
    CaptureOptions how = options();
    how.sample = 0.3;
    how.components = {Component::embed};
    const auto first = take(how).rows();
    how.begin = Begin::replace;
    EXPECT_EQ(take(how).rows(), first);
    how.seed = 43;
    EXPECT_NE(take(how).rows(), first);
}

TEST_F(Capture, KeepsSomeLayers) {
    CaptureOptions how = options();
    how.layers = {1, 2};
    const auto run = take(how);
    EXPECT_TRUE(run.has_site({Component::attn_out, 1}));
    EXPECT_FALSE(run.has_site({Component::attn_out, 0}));
    EXPECT_TRUE(run.has_site({Component::embed, -1}));
}

TEST_F(Capture, KeepsSomeComponents) {
    CaptureOptions how = options();
    how.components = {Component::mlp_out, Component::attn_out};
    EXPECT_EQ(take(how).sites().size(), 2u * 3u);
}

TEST_F(Capture, KeepsVectorsOfSomeComponents) {
    CaptureOptions how = options();
    how.vector_components = {Component::embed};
    const auto run = take(how);
    EXPECT_TRUE(run.has_vectors({Component::embed, -1}));
    EXPECT_FALSE(run.has_vectors({Component::attn_out, 0}));
    EXPECT_EQ(run.norms({Component::attn_out, 0}).size(), 36u);
    EXPECT_EQ(Safetensors(out() / "shards/000000.safetensors").tensors().size(), 2u);
}

TEST_F(Capture, KeepsVectorsOfSomeLayers) {
    CaptureOptions how = options();
    how.vector_layers = {1, 2};
    const auto run = take(how);
    for (const SiteShape& shape : run.sites()) {
        const bool kept = shape.site.layer < 0 || shape.site.layer == 1;
        EXPECT_EQ(run.has_vectors(shape.site), kept) << shape.site.name();
    }
    EXPECT_EQ(run.norms({Component::attn_out, 0}).size(), 36u);
}

TEST_F(Capture, WritesAValueOfTwoNamesOnce) {
    const auto run = take(options());
    const Safetensors shard(out() / "shards/000000.safetensors");
    const Site second{Component::resid_pre, 1};
    EXPECT_EQ(run.sum_of(second), (std::vector<Site>{{Component::resid_post, 0}}));
    EXPECT_FALSE(shard.tensors().contains(second.name()));
    EXPECT_TRUE(shard.tensors().contains("blocks.0.resid_pre"));
    EXPECT_EQ(rows_of_site(run, run.site(second)), rows_of_site(run, run.site({Component::resid_post, 0})));
    EXPECT_TRUE(verify_run(out(), no_progress()).faults.empty());
    // Alone it is written, and as scores it has axes of its own.
    CaptureOptions how = options();
    how.begin = Begin::replace;
    how.components = {Component::resid_pre};
    EXPECT_TRUE(take(how).sum_of(second).empty());
    how.components = {};
    how.keep.scores = 4;
    const auto scores = take(how);
    EXPECT_TRUE(scores.sum_of(second).empty());
    EXPECT_EQ(scores.rank(second), 4);
}

TEST_F(Capture, MakesTheStreamInTheMiddleOfASumWhereAsked) {
    CaptureOptions how = options();
    how.mid_as_sum = true;
    const auto run = take(how);
    const Site middle{Component::resid_mid, 1};
    EXPECT_EQ(run.sum_of(middle), (std::vector<Site>{{Component::resid_post, 0}, {Component::attn_out, 1}}));
    const Safetensors shard(out() / "shards/000000.safetensors");
    EXPECT_FALSE(shard.tensors().contains(middle.name()));
    // In float32 the model's own sum, to the bit.
    const Recording want = tapped();
    EXPECT_EQ(rows_of_site(run, run.site(middle)), want.at(middle.name()));
    EXPECT_EQ(run.norms(middle).size(), 36u);
    EXPECT_LE(row_error(run.means(middle),
                        means_by_position(want.at(middle.name()), run.tokens(), run.length(), -1)),
              1e-6);

    how.begin = Begin::replace;
    how.keep.means = false;  // they are the rows' then
    const auto without = take(how);
    EXPECT_LE(row_error(without.means(middle),
                        means_by_position(want.at(middle.name()), run.tokens(), run.length(), -1)),
              1e-6);
    // Without one of the parts it is written; what is changed on the way is no sum.
    how.vector_components = {Component::resid_mid, Component::resid_post};
    EXPECT_TRUE(take(how).sum_of(middle).empty());
    how.vector_components = {};
    how.intervention = Intervention{.acts = Json::array(),
                                    .writes = [](std::size_t, std::size_t) { return std::vector<Write>{}; }};
    EXPECT_TRUE(take(how).sum_of(middle).empty());
}

TEST_F(Capture, GivesTheSameMeansToASelectionWithVectorsAndWithout) {
    Selection selection;
    selection.components = {Component::attn_out, Component::mlp_out};
    selection.mean_samples = true;
    const auto averages = [&](const tomograph::Run& run) {
        const SelectedRows rows = select(run, selection);
        return Matrix(MatrixView(rows.data(), rows.n_rows(), rows.dim()));
    };
    const Matrix from_vectors = averages(take(options()));
    CaptureOptions how = options();
    how.vectors = false;
    how.begin = Begin::replace;
    EXPECT_LE(row_error(averages(take(how)), from_vectors), 1e-5);
}

// Many shards
// -------------------------------------------------------------------------------------------------------------

TEST_F(CaptureShards, HoldWholeBatches) {
    const auto run = take(one_batch_a_shard());
    std::vector<std::int64_t> rows;
    for (const Json& shard : run.json().at("shards"))
        rows.push_back(shard.at("rows").at(1).get<std::int64_t>());
    EXPECT_EQ(rows, (std::vector<std::int64_t>{512, 1024, 1200}));
}

TEST_F(CaptureShards, AreOneWhereItFits) {
    EXPECT_EQ(take(options()).json().at("shards").size(), 1u);
}

TEST_F(CaptureShards, AreFilledToTheirSize) {
    CaptureOptions how = options();
    how.components = {Component::embed};
    how.shard_bytes = 1024 * 32 * 4;  // two batches of one site
    EXPECT_EQ(take(how).json().at("shards").size(), 2u);
}

TEST_F(CaptureShards, ReadLikeOne) {
    const auto one = take(options());
    capture(model_, prompts_, folder_ / "many", one_batch_a_shard(), no_progress());
    const auto many = open_run(folder_ / "many");
    EXPECT_EQ(many.rows(), one.rows());
    for (const SiteShape& site : one.sites())
        EXPECT_EQ(rows_of_site(many, site), rows_of_site(one, site)) << site.site.name();
}

TEST_F(CaptureShards, ReadLikeOneWhereTheyAreSampled) {
    CaptureOptions how = options();
    how.sample = 0.4;
    const auto one = take(how);
    how.shard_bytes = 1;
    capture(model_, prompts_, folder_ / "many", how, no_progress());
    const auto many = open_run(folder_ / "many");
    const SiteShape site = one.site({Component::resid_post, 1});
    EXPECT_EQ(many.rows(), one.rows());
    EXPECT_EQ(rows_of_site(many, site), rows_of_site(one, site));
}

// The first 256 sequences are too short to have the position asked for.
TEST_F(CaptureShards, MayBeginWithABatchThatKeepsNothing) {
    std::vector<std::int64_t> lengths(256, 1);
    lengths.push_back(9);
    prompts_ = random_prompts(lengths);
    CaptureOptions how = one_batch_a_shard();
    how.positions = {8, 9};
    const auto run = take(how);
    EXPECT_EQ(run.rows(), std::vector<std::int32_t>{256 + 8});
    EXPECT_EQ(rows_of_site(run, run.site({Component::embed, -1})), Matrix(tapped().at("embed").row(256 + 8)));
}

TEST_F(CaptureShards, MayEndWithABatchThatKeepsNothing) {
    std::vector<std::int64_t> lengths(257, 1);
    lengths[0] = 9;
    prompts_ = random_prompts(lengths);
    CaptureOptions how = one_batch_a_shard();
    how.positions = {8, 9};
    EXPECT_EQ(take(how).rows(), std::vector<std::int32_t>{8});
}

TEST_F(Capture, MayKeepNoVectorAtAll) {
    CaptureOptions how = options();
    how.sample = 1e-9;
    const auto run = take(how);
    EXPECT_TRUE(run.complete());
    EXPECT_EQ(run.n_rows(), 0);
    EXPECT_EQ(run.norms({Component::embed, -1}).size(), 36u);
}

TEST_F(Capture, SaysWhereItsNumbersCameFrom) {
    CaptureOptions how = options();
    how.command = "tomograph capture llama.gguf";
    const Json json = take(how).json();
    EXPECT_EQ(json.at("model").at("xxh3_128"), xxh3_128(MappedFile(golden_model("llama")).bytes()));
    EXPECT_EQ(json.at("program").at("command"), "tomograph capture llama.gguf");
    EXPECT_EQ(json.at("program").at("backend").at("name"), "llama.cpp");
    EXPECT_FALSE(json.at("program").at("backend").at("release").get<std::string>().empty());
}

}  // namespace
}  // namespace tomograph
