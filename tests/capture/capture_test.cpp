#include "tomograph/capture/capture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/golden.h"
#include "support/open_run.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/select/selection.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

/// Sequences of these lengths, with tokens by seed.
PromptSet random_prompts(const std::vector<std::int64_t>& lengths) {
    PromptSet set;
    for (const std::int64_t length : lengths)
        set.sequences.push_back(random_sequence(length, 256, 50 + set.sequences.size()));
    set.description = {
        {"kind", "text"}, {"sequences", lengths.size()}, {"length", *std::ranges::max_element(lengths)}};
    return set;
}

/// Stops as soon as `tokens` are done; never for a negative number.
class StopAfter final : public Progress {
  public:
    explicit StopAfter(std::int64_t tokens) : tokens_(tokens) {}
    void update(std::int64_t done) override { done_ = done; }
    bool stop_requested() const override { return done_ >= tokens_; }

  private:
    std::int64_t tokens_;
    std::int64_t done_ = 0;
};

/// Every file below `folder` and its bytes.
std::map<std::string, std::string> files_of(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file())
            files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
    }
    return files;
}

std::set<std::string> names_of(const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& [name, bytes] : files_of(folder)) names.insert(name);
    return names;
}

class Capture : public testing::Test {
  protected:
    // One thread: these models are too small to share, and tests run side by side.
    static CaptureOptions options() {
        CaptureOptions options;
        options.threads = 1;
        options.dtype = Dtype::f32;
        return options;
    }
    tomograph::Run take(const CaptureOptions& how) {
        summary_ = capture(model_, prompts_, out(), how, no_progress());
        return open_run(out());
    }
    std::string error(const CaptureOptions& how) {
        return error_of([&] { capture(model_, prompts_, out(), how, no_progress()); });
    }
    fs::path out() const { return folder_ / "run"; }

    /// What the engine shows of the same prompts, in batches as the capture makes them.
    Recording tapped() const {
        std::int64_t longest = 0;
        for (const Sequence& sequence : prompts_.sequences) longest = std::max(longest, sequence.length());
        Engine engine(model_, {.max_length = longest, .threads = 1});
        Recording all;
        for (std::span<const Sequence> rest = prompts_.sequences; !rest.empty();) {
            const std::size_t n = engine.next_batch(rest);
            for (const auto& [site, values] : record(engine, rest.first(n))) {
                Matrix& rows = all[site];
                rows.conservativeResize(rows.rows() + values.rows(), values.cols());
                rows.bottomRows(values.rows()) = values;
            }
            rest = rest.subspan(n);
        }
        return all;
    }

    static Matrix rows_of_site(const tomograph::Run& run, const SiteShape& site) {
        Matrix rows(run.n_rows(), site.width());
        run.read_rows(site.site, 0, run.n_rows(), rows.data());
        return rows;
    }

    TempFolder folder_;
    Model model_ = Model::open(golden_model("llama"));
    PromptSet prompts_ = random_prompts({9, 5, 1, 12, 9});
    CaptureSummary summary_;
};

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
        EXPECT_LE(row_error(run.means(parse_site(name).value()), want), 1e-5) << name;
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
    EXPECT_EQ(names_of(out()), (std::set<std::string>{
                                   "plan.json", "run.json", "tokens.jsonl", "tokens.safetensors",
                                   "stats/norms.safetensors", "stats/means.safetensors", "shards/000000.json",
                                   "shards/000000.safetensors", "shards/000000.stats.safetensors"}));
}

TEST_F(Capture, WritesNoVectorsOnRequest) {
    CaptureOptions how = options();
    how.vectors = false;
    const auto run = take(how);
    EXPECT_EQ(names_of(out()),
              (std::set<std::string>{"plan.json", "run.json", "tokens.jsonl", "tokens.safetensors",
                                     "stats/norms.safetensors", "stats/means.safetensors",
                                     "shards/000000.json", "shards/000000.stats.safetensors"}));
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
    ASSERT_EQ(files.size(), 2u + 2u + 3u * 2u);
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

class CaptureShards : public Capture {
  protected:
    // Batches of 256, 256 and 88 sequences.
    CaptureShards() { prompts_ = random_prompts(std::vector<std::int64_t>(600, 2)); }
    static CaptureOptions one_batch_a_shard() {
        CaptureOptions how = options();
        how.shard_bytes = 1;
        return how;
    }
};

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

// Stopped
// -------------------------------------------------------------------------------------------------------------

class CaptureStopped : public CaptureShards {
  protected:
    std::string stop_after(std::int64_t tokens, CaptureOptions how) {
        StopAfter progress(tokens);
        try {
            capture(model_, prompts_, out(), how, progress);
        } catch (const Stopped& stopped) {
            return stopped.what();
        }
        return "it was not stopped";
    }
};

TEST_F(CaptureStopped, SaysHowFarItCame) {
    EXPECT_EQ(stop_after(600, one_batch_a_shard()),
              "stopped: 1024 of 1200 tokens are kept, go on with --resume");
}

TEST_F(CaptureStopped, KeepsItsWholeShards) {
    stop_after(600, one_batch_a_shard());
    const auto run = open_run(out());
    EXPECT_FALSE(run.complete());
    EXPECT_EQ(run.n_rows(), 1024);
    const SiteShape site = run.site({Component::attn_out, 1});
    EXPECT_EQ(rows_of_site(run, site), Matrix(tapped().at("blocks.1.attn_out").topRows(1024)));
}

TEST_F(CaptureStopped, LeavesNothingHalf) {
    stop_after(600, one_batch_a_shard());
    EXPECT_EQ(names_of(out()),
              (std::set<std::string>{"plan.json", "run.json", "tokens.jsonl", "tokens.safetensors",
                                     "shards/000000.json", "shards/000000.safetensors",
                                     "shards/000000.stats.safetensors", "shards/000001.json",
                                     "shards/000001.safetensors", "shards/000001.stats.safetensors"}));
}

TEST_F(CaptureStopped, KeepsTheNormsAndMeansOfItsWholeShards) {
    stop_after(600, one_batch_a_shard());
    const auto run = open_run(out());
    ASSERT_EQ(run.n_tokens(), 1024);
    const Recording want = tapped();
    const Matrix rows = want.at("blocks.1.attn_out").topRows(1024);
    const auto norms = run.norms({Component::attn_out, 1});
    for (Eigen::Index t = 0; t < 1024; ++t)
        ASSERT_NEAR(norms.at(static_cast<std::size_t>(t)) / rows.row(t).norm(), 1, 1e-5);
    EXPECT_LE(row_error(run.means({Component::attn_out, 1}), means_by_position(rows, run.tokens(), 2, -1)),
              1e-6);
}

TEST_F(CaptureStopped, LeavesNoFolderBeforeItsFirstShard) {
    EXPECT_EQ(stop_after(600, options()), "stopped: nothing is kept");
    EXPECT_EQ(folder_.n_files(), 0u);
}

TEST_F(CaptureStopped, GivesTheEarlierRunBackBeforeItsFirstShard) {
    capture(model_, prompts_, out(), options(), no_progress());
    const auto before = files_of(out());
    CaptureOptions again = options();
    again.begin = Begin::replace;
    stop_after(600, again);
    EXPECT_EQ(files_of(out()), before);
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(CaptureStopped, LeavesNoFolderBeforeItsFirstBatch) {
    stop_after(0, options());
    EXPECT_EQ(folder_.n_files(), 0u);
}

TEST_F(CaptureStopped, GivesTheEarlierRunBackBeforeItsFirstBatch) {
    const CaptureOptions how = options();
    capture(model_, prompts_, out(), how, no_progress());
    const auto before = files_of(out());
    CaptureOptions again = how;
    again.begin = Begin::replace;
    stop_after(0, again);
    EXPECT_EQ(files_of(out()), before);
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(CaptureStopped, MayBeTakenAgainByForce) {
    stop_after(600, one_batch_a_shard());
    CaptureOptions how = options();
    how.begin = Begin::replace;
    EXPECT_TRUE(take(how).complete());
    EXPECT_EQ(folder_.n_files(), 1u);
}

// Resumed
// -------------------------------------------------------------------------------------------------------------

class CaptureResumed : public CaptureStopped {
  protected:
    static CaptureOptions resumed() {
        CaptureOptions how = one_batch_a_shard();
        how.begin = Begin::resume;
        return how;
    }
    std::map<std::string, std::string> uninterrupted(const CaptureOptions& how) {
        capture(model_, prompts_, folder_ / "straight", how, no_progress());
        return files_of(folder_ / "straight");
    }
};

TEST_F(CaptureResumed, EndsWithTheSameBytes) {
    const auto want = uninterrupted(one_batch_a_shard());
    for (const std::int64_t tokens : {0, 1, 600, 1100}) {
        stop_after(tokens, resumed());
        EXPECT_TRUE(take(resumed()).complete());
        EXPECT_EQ(files_of(out()), want) << "stopped after " << tokens;
        fs::remove_all(out());
    }
}

TEST_F(CaptureResumed, SaysWhatItFound) {
    stop_after(600, one_batch_a_shard());
    take(resumed());
    EXPECT_EQ(summary_.n_tokens_found, 1024);
    take(resumed());
    EXPECT_EQ(summary_.n_tokens_found, 1200);
}

TEST_F(CaptureResumed, LeavesACompleteRunAsItIs) {
    const auto want = uninterrupted(one_batch_a_shard());
    take(resumed());
    take(resumed());
    EXPECT_EQ(files_of(out()), want);
}

// What may lie there after a kill, or was deleted since it was found damaged.
TEST_F(CaptureResumed, MakesAnewWhatIsMissing) {
    const auto want = uninterrupted(one_batch_a_shard());
    for (const auto& [name, bytes] : want) {
        if (name == "plan.json") continue;  // then it is another kind of folder
        take(resumed());
        fs::remove(out() / name);
        EXPECT_TRUE(take(resumed()).complete()) << name;
        EXPECT_EQ(files_of(out()), want) << name;
    }
}

TEST_F(CaptureResumed, MakesAnewWhatIsCut) {
    const auto want = uninterrupted(one_batch_a_shard());
    for (const auto& [name, bytes] : want) {
        if (name == "plan.json") continue;
        take(resumed());
        fs::resize_file(out() / name, bytes.size() / 2);
        EXPECT_TRUE(take(resumed()).complete()) << name;
        EXPECT_EQ(files_of(out()), want) << name;
    }
}

TEST_F(CaptureResumed, ClearsAwayWhatKilledWritersLeft) {
    stop_after(600, one_batch_a_shard());
    for (const char* name : {"run/run.json.7-0.tmp", "run/shards/000002.safetensors.7-0.tmp",
                             "run/shards/000002.safetensors", "run/stats/means.safetensors.7-3.tmp"})
        folder_.write(name, "half");
    take(resumed());
    EXPECT_EQ(files_of(out()), uninterrupted(one_batch_a_shard()));
}

TEST_F(CaptureResumed, RefusesOtherFlags) {
    stop_after(600, one_batch_a_shard());
    const auto before = files_of(out());
    CaptureOptions how = resumed();
    how.dtype = Dtype::bf16;
    EXPECT_EQ(error(how),
              out().string() +
                  " was captured otherwise and cannot be resumed like this: capture.dtype was "
                  "\"F32\" and is \"BF16\"; resume it as it was begun, or replace it with --force");
    how = resumed();
    how.exact = true;
    how.seed = 43;
    EXPECT_NE(error(how).find("capture.seed was 42 and is 43, capture.exact was false and is true"),
              std::string::npos)
        << error(how);
    EXPECT_EQ(files_of(out()), before);
}

TEST_F(CaptureResumed, RefusesAnotherText) {
    stop_after(600, one_batch_a_shard());
    prompts_.sequences[400].tokens[1] ^= 1;
    EXPECT_NE(error(resumed()).find("prompts.xxh3_128 was "), std::string::npos) << error(resumed());
}

TEST_F(CaptureResumed, RefusesOtherRawVectors) {
    for (Sequence& sequence : prompts_.sequences) {
        sequence.vectors.assign(64, 0.5f);
        sequence.tokens.assign(2, -1);
    }
    stop_after(600, one_batch_a_shard());
    prompts_.sequences[599].vectors[63] = 0.25f;
    EXPECT_NE(error(resumed()).find("prompts.xxh3_128 was "), std::string::npos) << error(resumed());
}

TEST_F(CaptureResumed, RefusesAnotherModelOfTheSameName) {
    stop_after(600, one_batch_a_shard());
    const std::string same = read_file(golden_model("llama"));
    folder_.write("golden-llama.gguf", same.substr(0, same.size() - 1) + char(same.back() ^ 1));
    model_ = Model::open((folder_ / "golden-llama.gguf").string());
    EXPECT_NE(error(resumed()).find("model.xxh3_128 was "), std::string::npos) << error(resumed());
}

TEST_F(CaptureResumed, IsRefusedWhileAnotherWriterIsAtWork) {
    stop_after(600, one_batch_a_shard());
    const FolderLock other(out());
    EXPECT_EQ(error(resumed()), "another tomograph is writing " + out().string() +
                                    "; wait for it to end, or name another --out");
}

TEST_F(Capture, SaysWhereItsNumbersCameFrom) {
    CaptureOptions how = options();
    how.command = "tomograph capture llama.gguf";
    const Json json = take(how).json();
    EXPECT_EQ(json.at("model").at("xxh3_128"), xxh3_128(MappedFile(golden_model("llama")).bytes()));
    EXPECT_EQ(json.at("program").at("command"), "tomograph capture llama.gguf");
    EXPECT_EQ(json.at("program").at("backend").at("name"), "llama.cpp");
    EXPECT_FALSE(json.at("program").at("backend").at("commit").get<std::string>().empty());
}

// Failed
// -------------------------------------------------------------------------------------------------------------

TEST_F(Capture, RefusesAFolderThatExists) {
    take(options());
    EXPECT_EQ(error(options()), out().string() + " exists; use --force to replace it, or name another --out");
}

TEST_F(Capture, ReplacesARunByForce) {
    take(options());
    CaptureOptions how = options();
    how.components = {Component::embed};
    how.begin = Begin::replace;
    EXPECT_EQ(take(how).sites().size(), 1u);
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(Capture, NamesTheComponentsThereAre) {
    CaptureOptions how = options();
    how.components = {Component::attn_out, Component::router};
    EXPECT_EQ(error(how),
              "golden-llama has no component router: it has embed, resid_pre, ln1, z, attn_out, resid_mid, "
              "ln2, mlp_out, "
              "resid_post, ln_final");
}

TEST_F(Capture, NamesTheLayersThereAre) {
    CaptureOptions how = options();
    how.layers = {0, 4};
    EXPECT_EQ(error(how), "no layers 0:4: there are 3: 0 to 2; a range is half-open");
}

TEST_F(Capture, NamesThePositionsThereAre) {
    CaptureOptions how = options();
    how.positions = {12, {}};
    EXPECT_EQ(error(how), "no positions 12:: there are 12: 0 to 11; a range is half-open");
}

class BadFraction : public Capture, public testing::WithParamInterface<double> {};
INSTANTIATE_TEST_SUITE_P(Capture, BadFraction, testing::Values(0.0, -0.5, 1.5, std::nan("")));

TEST_P(BadFraction, IsRefused) {
    CaptureOptions how = options();
    how.sample = GetParam();
    EXPECT_TRUE(error(how).ends_with(" is no fraction; use a number above 0, up to 1")) << error(how);
}

TEST_F(Capture, LeavesNoFolderWhenItIsRefused) {
    CaptureOptions how = options();
    how.layers = {0, 4};
    error(how);
    EXPECT_EQ(folder_.n_files(), 0u);
}

TEST_F(Capture, RefusesALengthAboveALearnedTable) {
    model_ = Model::open(golden_model("gpt2"));
    prompts_ = random_prompts({65});
    EXPECT_EQ(error(options()),
              "length 65 is above the context of golden-gpt2: its position table has 64 rows; use "
              "--length 64 or less");
    EXPECT_EQ(folder_.n_files(), 0u);
}

TEST_F(Capture, RefusesATokenThatTheModelHasNot) {
    prompts_.sequences[3].tokens[2] = 256;
    EXPECT_NE(error(options()), "");
    EXPECT_EQ(folder_.n_files(), 0u);
}

class CaptureOverflow : public Capture {
  protected:
    /// Vectors that the model is given, one of which float16 cannot hold.
    CaptureOverflow() {
        prompts_ = random_prompts({4, 4});
        for (Sequence& sequence : prompts_.sequences) {
            const Matrix rows = model_.token_embeddings(sequence.tokens);
            sequence.vectors.assign(rows.data(), rows.data() + rows.size());
            sequence.tokens.assign(4, -1);
        }
        prompts_.sequences[1].vectors[2 * 32 + 5] = -1e6f;
    }
    static CaptureOptions half() {
        CaptureOptions how = options();
        how.dtype = Dtype::f16;
        how.components = {Component::embed};
        return how;
    }
};

TEST_F(CaptureOverflow, NamesTheSiteAndTheToken) {
    EXPECT_EQ(error(half()),
              "embed holds -1000000 at token 6 (position 2): float16 ends at 65,504; use --dtype f32");
}

TEST_F(CaptureOverflow, NamesTheValueThatOverflowsNotOneThatRoundsDown) {
    prompts_.sequences[1].vectors[2 * 32 + 1] = 65510.0f;
    EXPECT_TRUE(error(half()).starts_with("embed holds -1000000 at token 6")) << error(half());
}

TEST_F(CaptureOverflow, LeavesNoFolder) {
    error(half());
    EXPECT_EQ(folder_.n_files(), 0u);
}

TEST_F(CaptureOverflow, LeavesTheEarlierRunAlone) {
    take(options());
    const auto before = files_of(out());
    CaptureOptions how = half();
    how.begin = Begin::replace;
    EXPECT_NE(error(how), "");
    EXPECT_EQ(files_of(out()), before);
    EXPECT_EQ(folder_.n_files(), 1u);
}

TEST_F(CaptureOverflow, IsNoneInFloat32) {
    EXPECT_EQ(error(options()), "");
}

TEST_F(CaptureOverflow, IsNoneInBfloat16) {
    CaptureOptions how = half();
    how.dtype = Dtype::bf16;
    EXPECT_EQ(error(how), "");
}

TEST_F(CaptureOverflow, IsNoneWhereTheTokenIsNotKept) {
    CaptureOptions how = half();
    how.positions = {0, 2};
    EXPECT_EQ(error(how), "");
}

class CaptureOnAFullDisk : public CaptureShards {
  protected:
    std::string error_within(rlim_t bytes, const CaptureOptions& how) {
        const FileSizeLimit limit(bytes);
        return error(how);
    }
};

TEST_F(CaptureOnAFullDisk, SaysWhichFileHasNoRoom) {
    EXPECT_EQ(
        error_within(300'000, options()),
        "cannot reserve room for " + (out() / "shards/000000.safetensors").string() + ": File too large");
}

TEST_F(CaptureOnAFullDisk, LeavesNoFolder) {
    error_within(300'000, options());
    EXPECT_EQ(folder_.n_files(), 0u);
}

TEST_F(CaptureOnAFullDisk, LeavesTheEarlierRunAlone) {
    take(options());
    const auto before = files_of(out());
    CaptureOptions how = options();
    how.begin = Begin::replace;
    error_within(300'000, how);
    EXPECT_EQ(files_of(out()), before);
    EXPECT_EQ(folder_.n_files(), 1u);
}

}  // namespace
}  // namespace tomograph
