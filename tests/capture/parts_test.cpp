#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "capture/capture_support.h"
#include "tomograph/linear/pca.h"
#include "tomograph/select/selection.h"
#include "tomograph/store/merge.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

/// A capture of several batches, whole and in parts.
class CaptureParts : public CaptureShards {
  protected:
    fs::path part_folder(int number) const { return folder_ / ("part-" + std::to_string(number)); }
    CaptureSummary take_part(int number, int of, CaptureOptions how = one_batch_a_shard()) {
        how.part = {number, of};
        return capture(model_, prompts_, part_folder(number), how, no_progress());
    }
    std::vector<fs::path> take_parts(int of, const CaptureOptions& how = one_batch_a_shard()) {
        std::vector<fs::path> folders;
        for (int number = 1; number <= of; ++number) {
            take_part(number, of, how);
            folders.push_back(part_folder(number));
        }
        return folders;
    }
    std::string merge_error(const std::vector<fs::path>& runs) {
        const std::string error = error_of([&] { merge_runs(runs, folder_ / "merged", {}, no_progress()); });
        EXPECT_FALSE(fs::exists(folder_ / "merged"));
        return error;
    }
};

TEST_F(CaptureParts, MergedAreTheWholeCapture) {
    const auto whole = take(options());
    MergeOptions how;
    for (how.copy = false;; how.copy = true) {
        const auto parts = take_parts(3);
        const MergeSummary summary = merge_runs(parts, folder_ / "merged", how, no_progress());
        EXPECT_EQ(summary.n_parts, 3u);
        EXPECT_EQ(summary.n_sequences, 600);
        EXPECT_EQ(how.copy ? summary.linked_bytes : summary.copied_bytes, 0u);
        for (const auto& part : parts) fs::remove_all(part);  // the merged run stands alone
        EXPECT_TRUE(verify_run(folder_ / "merged", no_progress()).faults.empty());
        const auto merged = open_run(folder_ / "merged");
        EXPECT_TRUE(merged.complete());
        EXPECT_EQ(merged.tokens().token_id, whole.tokens().token_id);
        EXPECT_EQ(merged.tokens().sequence, whole.tokens().sequence);
        for (const SiteShape& site : whole.sites()) {
            EXPECT_EQ(rows_of_site(merged, site), rows_of_site(whole, site)) << site.site.name();
            EXPECT_EQ(merged.norms(site.site), whole.norms(site.site)) << site.site.name();
            EXPECT_LE(row_error(merged.means(site.site), whole.means(site.site)), 1e-6) << site.site.name();
        }
        Selection selection;
        selection.components = {Component::resid_post};
        const Pca a = fit_pca(select(merged, selection)), b = fit_pca(select(whole, selection));
        EXPECT_EQ(a.components, b.components);
        EXPECT_EQ(a.explained_variance, b.explained_variance);
        fs::remove_all(folder_ / "merged");
        if (how.copy) break;
    }
}

TEST_F(CaptureParts, MergedInAnyOrderAreTheSameBytes) {
    auto parts = take_parts(3);
    merge_runs(parts, folder_ / "merged", {}, no_progress());
    std::swap(parts[0], parts[2]);
    merge_runs(parts, folder_ / "again", {}, no_progress());
    EXPECT_EQ(files_of(folder_ / "merged"), files_of(folder_ / "again"));
}

TEST_F(CaptureParts, OneFolderMayTakeThemAll) {
    const auto parts = take_parts(3);
    merge_runs(parts, folder_ / "merged", {}, no_progress());
    for (int number = 1; number <= 3; ++number) {
        CaptureOptions how = one_batch_a_shard();
        how.part = {number, 3};
        how.begin = Begin::resume;
        capture(model_, prompts_, out(), how, no_progress());
        EXPECT_EQ(open_run(out()).complete(), number == 3);
    }
    EXPECT_EQ(files_of(out()), files_of(folder_ / "merged"));
}

TEST_F(CaptureParts, AreRunsOfTheirOwn) {
    take_parts(3);
    const auto whole = take(options());
    const SiteShape site = whole.site({Component::attn_out, 1});
    const Matrix want = rows_of_site(whole, site);
    std::int64_t token = 0;
    for (int number = 1; number <= 3; ++number) {
        const auto part = open_run(part_folder(number));
        EXPECT_FALSE(part.complete());
        EXPECT_EQ(part.n_sequences(), part.n_tokens() / 2);
        EXPECT_EQ(part.planned_tokens(), 1200);
        EXPECT_EQ(part.tokens().sequence.front(), 0);
        EXPECT_EQ(rows_of_site(part, site), Matrix(want.middleRows(token, part.n_tokens())));
        for (const std::int64_t t : {std::int64_t{0}, part.n_tokens() - 1}) {
            EXPECT_EQ(part.pieces().at(static_cast<std::size_t>(t)),
                      whole.pieces().at(static_cast<std::size_t>(token + t)));
            EXPECT_EQ(part.norms(site.site).at(static_cast<std::size_t>(t)),
                      whole.norms(site.site).at(static_cast<std::size_t>(token + t)));
        }
        EXPECT_TRUE(verify_run(part_folder(number), no_progress()).faults.empty());
        token += part.n_tokens();
    }
    EXPECT_EQ(token, 1200);
}

TEST_F(CaptureParts, SampleTheSameTokens) {
    CaptureOptions how = one_batch_a_shard();
    how.sample = 0.3;
    const auto whole = take(how);
    merge_runs(take_parts(2, how), folder_ / "merged", {}, no_progress());
    EXPECT_EQ(open_run(folder_ / "merged").rows(), whole.rows());
}

TEST_F(CaptureParts, WithoutSequencesSaySo) {
    // Three batches, eight parts: five have none, and none of these is missed.
    std::vector<fs::path> folders;
    int without = 0;
    for (int number = 1; number <= 8; ++number) {
        const CaptureSummary summary = take_part(number, 8);
        if (summary.n_sequences > 0) {
            folders.push_back(part_folder(number));
            continue;
        }
        ++without;
        EXPECT_EQ(summary.notes,
                  std::vector{"part " + std::to_string(number) + "/8 has no sequences: they make 3 batches"});
        EXPECT_FALSE(fs::exists(part_folder(number)));
    }
    EXPECT_EQ(without, 5);
    EXPECT_EQ(merge_runs(folders, folder_ / "merged", {}, no_progress()).n_sequences, 600);
}

TEST_F(CaptureParts, ThatThereAreNotAreRefused) {
    EXPECT_EQ(error_of([&] { take_part(9, 8); }),
              "there is no part 9/8: parts go from 1 to their number, at most 65536");
    EXPECT_NE(error_of([&] { take_part(0, 8); }), "");
}

TEST_F(CaptureParts, GoOnWhereTheyWereInterrupted) {
    const auto parts = take_parts(2);
    const auto want = files_of(parts[0]);
    fs::remove(parts[0] / "shards/000000.json");
    EXPECT_EQ(merge_error(parts),
              "part 1/2 is missing: no folder that was named has it; capture it with --part 1/2");
    CaptureOptions how = one_batch_a_shard();
    how.begin = Begin::resume;
    take_part(1, 2, how);
    EXPECT_EQ(files_of(parts[0]), want);
}

TEST_F(CaptureParts, MissingOrTwiceAreNamed) {
    const auto parts = take_parts(3);
    EXPECT_EQ(merge_error({parts[0], parts[2]}),
              "part 2/3 is missing: no folder that was named has it; capture it with --part 2/3");
    EXPECT_EQ(merge_error({parts[0], parts[1], parts[1], parts[2]}),
              "part 2/3 is there twice: " + parts[1].string() + " and " + parts[1].string() +
                  " both have shard 1; name each part once");
}

TEST_F(CaptureParts, UnfinishedAreNamed) {
    CaptureOptions how = one_batch_a_shard();
    how.part = {1, 2};
    const auto parts = take_parts(2);
    ASSERT_TRUE(fs::exists(parts[1] / "shards/000002.json"));
    fs::remove(parts[1] / "shards/000002.json");
    EXPECT_EQ(merge_error(parts), "part 2/2 is not finished: " + parts[1].string() +
                                      " has 1 of its 2 shards; go on with --part 2/2 --resume");
}

TEST_F(CaptureParts, OfAnotherCaptureAreRefusedByTheFieldThatDiffers) {
    const auto parts = take_parts(2);
    const auto refused = [&](const CaptureOptions& how) {
        fs::remove_all(part_folder(2));
        take_part(2, 2, how);
        return merge_error(parts);
    };
    CaptureOptions how = one_batch_a_shard();
    how.seed = 43;
    EXPECT_NE(refused(how).find("capture.seed was 42 and is 43"), std::string::npos) << refused(how);
    how = one_batch_a_shard();
    how.dtype = Dtype::f16;
    EXPECT_NE(refused(how).find("capture.dtype was \"F32\" and is \"F16\""), std::string::npos)
        << refused(how);
    prompts_.sequences[0].tokens[0] ^= 1;
    EXPECT_NE(refused(one_batch_a_shard()).find("prompts.xxh3_128 was "), std::string::npos);
    model_ = Model::open(golden_model("gpt2"));
    EXPECT_NE(refused(one_batch_a_shard()).find("model."), std::string::npos);
}

TEST_F(CaptureParts, CapturedWholeAreNoParts) {
    take(options());
    EXPECT_EQ(merge_error({out()}), out().string() +
                                        " is no part of a capture: it was captured whole; capture the parts "
                                        "with --part 1/N to N/N");
}

TEST_F(CaptureParts, DamagedAreNamed) {
    const auto parts = take_parts(2);
    const fs::path shard = parts[1] / "shards/000001.safetensors";
    std::string bytes = read_file(shard);
    const auto write = [&](const std::string& what) { std::ofstream(shard, std::ios::binary) << what; };
    write(bytes.substr(0, bytes.size() - 1));
    EXPECT_EQ(merge_error(parts).find(shard.string() + " was cut or damaged: it has "), 0u)
        << merge_error(parts);
    std::string flipped = bytes;
    flipped[flipped.size() / 2] ^= 4;
    write(flipped);
    EXPECT_EQ(merge_error(parts).find(shard.string() + " was cut or damaged: it does not hold"), 0u)
        << merge_error(parts);
    write(bytes);
    EXPECT_EQ(merge_runs(parts, folder_ / "merged", {}, no_progress()).n_parts, 2u);
}

}  // namespace
}  // namespace tomograph
