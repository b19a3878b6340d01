#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "capture/capture_support.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

// Stopped
// -------------------------------------------------------------------------------------------------------------

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
                             "run/shards/000002.safetensors", "run/stats/norms.safetensors.7-3.tmp"})
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

}  // namespace
}  // namespace tomograph
