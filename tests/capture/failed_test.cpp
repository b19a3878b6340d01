#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

#include "capture/capture_support.h"
#include "support/file_size_limit.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

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

// The second shard is three times the first.
TEST_F(CaptureOnAFullDisk, KeepsWhatIsWholeAndGoesOnWhenThereIsRoom) {
    std::vector<std::int64_t> lengths(512, 1);
    std::fill(lengths.begin() + 256, lengths.end(), 3);
    prompts_ = random_prompts(lengths);
    CaptureOptions how = one_batch_a_shard();
    capture(model_, prompts_, folder_ / "straight", how, no_progress());
    const auto first = fs::file_size(folder_ / "straight/shards/000000.safetensors");
    EXPECT_EQ(error_within(2 * first, how),
              "cannot reserve room for " + (out() / "shards/000001.safetensors").string() +
                  ": File too large; 256 of 1024 tokens are kept, go on with --resume");
    EXPECT_EQ(open_run(out()).n_tokens(), 256);
    how.begin = Begin::resume;
    take(how);
    EXPECT_EQ(files_of(out()), files_of(folder_ / "straight"));
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
