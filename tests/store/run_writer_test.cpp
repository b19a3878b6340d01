#include "tomograph/store/run_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "support/errors.h"
#include "support/open_run.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/base/matrix.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

const Site kSite{Component::embed, -1};

/// `n` tokens of one site, all at position 0 of sequences of their own.
RunPlan plan_of(std::int64_t n, std::int64_t width = 2) {
    RunPlan plan;
    plan.description["model"] = {{"name", "m"}, {"d_model", width}, {"n_layers", 1}};
    plan.description["prompts"] = {{"kind", "text"}, {"sequences", n}, {"length", 1}};
    plan.sites = {{kSite, {width}}};
    plan.stored = {std::nullopt};
    for (std::int64_t t = 0; t < n; ++t) {
        plan.tokens.token_id.push_back(7);
        plan.tokens.position.push_back(0);
        plan.tokens.sequence.push_back(static_cast<std::int32_t>(t));
        plan.tokens.label.push_back(-1);
    }
    plan.kept.assign(static_cast<std::size_t>(n), 0);
    plan.shard_ends = {n};
    return plan;
}

std::string error_with(const RunPlan& plan) {
    const TempFolder folder;
    return error_of([&] { RunWriter(folder / "run", plan, {.durable = false}); });
}

TEST(RunWriter, RefusesColumnsThatDoNotFitTheirTokens) {
    RunPlan plan = plan_of(2);
    plan.columns = {{"role", {"user"}}};
    EXPECT_NE(error_with(plan), "");  // without entries
    plan.tokens.further = {{0}};
    EXPECT_NE(error_with(plan), "");
    plan.tokens.further = {{0, 1}};
    EXPECT_NE(error_with(plan).find("a role of 1 cannot be written"), std::string::npos);
    plan.tokens.further = {{0, -1}};
    EXPECT_EQ(error_with(plan), "");
}

// The first coordinate is 1000 and a little more each time: a running mean in float32 stops moving long
// before the end. The second is a rare large value among zeros.
TEST(RunWriter, KeepsTheMeanOfAMillionSequences) {
    constexpr std::int64_t kN = 1'000'000, kBlock = 1000;
    const TempFolder folder;
    RunPlan plan = plan_of(kN);
    plan.shard_ends.clear();
    for (std::int64_t end = 250'000; end <= kN; end += 250'000) plan.shard_ends.push_back(end);
    RunWriter writer(folder / "run", std::move(plan), {.durable = false});
    double sums[2] = {0, 0};
    Matrix block(kBlock, 2);
    for (std::size_t shard = 0; shard < writer.n_shards(); ++shard) {
        const auto [begin, end] = writer.shard_tokens(shard);
        writer.begin_shard(shard);
        for (std::int64_t first = begin; first < end; first += kBlock) {
            for (std::int64_t i = 0; i < kBlock; ++i) {
                const std::int64_t t = first + i;
                block(i, 0) = 1000.0f + static_cast<float>(t) * 1e-3f;
                block(i, 1) = t % 10'000 == 0 ? 1.0f : 0.0f;
                for (int d = 0; d < 2; ++d) sums[d] += block(i, d);
            }
            writer.take(0, first, kBlock, block.data());
        }
        writer.end_shard();
    }
    writer.finish();
    const Matrix means = open_run(folder / "run").means(kSite);
    for (int d = 0; d < 2; ++d)
        EXPECT_NEAR(means(0, d) / (sums[d] / static_cast<double>(kN)), 1, 1e-6) << "coordinate " << d;
}

TEST(RunWriter, KeepsMeansOfPositionsFarApartWithoutATableOfAll) {
    const TempFolder folder;
    RunPlan plan = plan_of(3, 512);
    plan.tokens.position = {0, 100'000, 100'000};
    plan.description["prompts"]["length"] = 100'001;
    {
        RunWriter writer(folder / "run", std::move(plan), {.durable = false});
        writer.begin_shard(0);
        const Matrix values = Matrix::Constant(3, 512, 2.0f) + Matrix::Identity(3, 512);
        writer.take(0, 0, 3, values.data());
        writer.end_shard();
        writer.finish();
    }
    EXPECT_TRUE(verify_run(folder / "run", no_progress()).faults.empty());
    const Matrix means = open_run(folder / "run").means(kSite);
    ASSERT_EQ(means.rows(), 100'001);
    EXPECT_EQ(means(0, 0), 3.0f);
    EXPECT_EQ(means(100'000, 1), 2.5f);
    EXPECT_EQ(means(5, 1), 0.0f);
}

/// Tokens that meet at positions (7 of them), and tokens that do not: who adds what is another matter.
class SharedOut : public testing::TestWithParam<std::int32_t> {};
INSTANTIATE_TEST_SUITE_P(RunWriter, SharedOut, testing::Values(7, 301),
                         [](const auto& test) { return std::to_string(test.param) + "Positions"; });

// Rows that are kept and rows that are not, in a batch that is large enough to be shared out.
TEST_P(SharedOut, IsTheSameOnAnyNumberOfThreads) {
    constexpr std::int64_t kN = 301, kWidth = 257;
    const TempFolder folder;
    Matrix values(kN, kWidth);
    for (std::int64_t i = 0; i < values.size(); ++i)
        values.data()[i] = std::sin(static_cast<float>(i) * 0.37f) * static_cast<float>(1 + i % 1000);
    for (const int threads : {1, 2, 5}) {
        RunPlan plan = plan_of(kN, kWidth);
        plan.stored = {Dtype::f16};
        for (std::int64_t t = 0; t < kN; ++t) {
            plan.tokens.position[static_cast<std::size_t>(t)] = static_cast<std::int32_t>(t % GetParam());
            plan.kept[static_cast<std::size_t>(t)] = t % 5 != 2 && t > 3;
        }
        plan.description["prompts"]["length"] = GetParam();
        RunWriter writer(folder / std::to_string(threads), std::move(plan),
                         {.durable = false, .threads = threads});
        writer.begin_shard(0);
        writer.take(0, 0, kN, values.data());
        writer.end_shard();
        writer.finish();
    }
    for (const char* other : {"2", "5"}) {
        for (const char* file :
             {"shards/000000.safetensors", "shards/000000.stats.safetensors", "stats/norms.safetensors"})
            EXPECT_EQ(read_file(folder / "1" / file), read_file(folder / other / file))
                << other << " " << file;
    }
    const auto run = open_run(folder / "5");
    Matrix rows(2, kWidth);
    run.read_rows(kSite, 0, 2, rows.data());
    EXPECT_NEAR(rows(0, 9), values(4, 9), 0.5);
    EXPECT_NEAR(rows(1, 9), values(5, 9), 0.5);
    const Matrix means = run.means(kSite);
    ASSERT_EQ(means.rows(), GetParam());
    double sum = 0;
    for (std::int64_t t = 2; t < kN; t += GetParam()) sum += static_cast<double>(values(t, 100));
    EXPECT_NEAR(means(2, 100), sum / (GetParam() == 7 ? 43 : 1), 1e-3);
    EXPECT_NEAR(run.norms(kSite)[300], values.row(300).norm(), 0.1);
}

TEST(RunWriter, NamesTheFirstValueThatFloat16CannotHoldOnAnyNumberOfThreads) {
    const TempFolder folder;
    Matrix values = Matrix::Ones(300, 200);
    values(120, 3) = 70'000.0f;
    values(290, 5) = 80'000.0f;
    for (const int threads : {1, 3}) {
        RunPlan plan = plan_of(300, 200);
        plan.stored = {Dtype::f16};
        plan.kept.assign(300, 1);
        RunWriter writer(folder / std::to_string(threads), std::move(plan),
                         {.durable = false, .threads = threads});
        writer.begin_shard(0);
        EXPECT_NE(error_of([&] { writer.take(0, 0, 300, values.data()); }).find("holds 70000 at token 120 "),
                  std::string::npos);
    }
}

TEST(RunWriter, KeepsSeveralTypes) {
    const TempFolder folder;
    RunPlan plan = plan_of(2);
    plan.sites.push_back({{Component::attn_out, 0}, {2}});
    plan.stored = {Dtype::f16, Dtype::f32};
    plan.kept = {1, 1};
    RunWriter writer(folder / "run", std::move(plan), {.durable = false});
    writer.begin_shard(0);
    const Matrix values = Matrix::Constant(2, 2, 1.0f / 3);
    writer.take(0, 0, 2, values.data());
    writer.take(1, 0, 2, values.data());
    writer.end_shard();
    writer.finish();
    const auto run = open_run(folder / "run");
    Matrix rows(2, 2);
    run.read_rows({Component::attn_out, 0}, 0, 2, rows.data());
    EXPECT_EQ(rows, values);
    run.read_rows(kSite, 0, 2, rows.data());
    EXPECT_NE(rows, values);
    EXPECT_NEAR(rows(1, 1), 1.0f / 3, 1e-3);
}

TEST(RunWriter, LeavesNothingWhereNothingBecameWhole) {
    const TempFolder folder;
    {
        RunWriter writer(folder / "run", plan_of(2), {});
        writer.begin_shard(0);
    }
    EXPECT_EQ(folder.n_files(), 0u);
}

TEST(RunWriter, RefusesATwinOfItself) {
    const TempFolder folder;
    RunWriter writer(folder / "run", plan_of(2), {});
    EXPECT_EQ(error_of([&] { RunWriter(folder / "run", plan_of(2), {.begin = Begin::resume}); }),
              "another tomograph is writing " + (folder / "run").string() +
                  "; wait for it to end, or name another --out");
}

TEST(RunWriter, RefusesPositionsThatNoRunHas) {
    RunPlan plan = plan_of(2);
    plan.tokens.position[1] = 2'147'483'647;
    EXPECT_EQ(error_with(plan), "a position of 2147483647 cannot be written: they go from 0 to 16777215");
    plan.tokens.position[1] = -1;
    EXPECT_EQ(error_with(plan), "a position of -1 cannot be written: they go from 0 to 16777215");
}

TEST(RunWriter, RefusesSequencesThatNoRunHas) {
    RunPlan plan = plan_of(2);
    plan.tokens.sequence[1] = 2'147'483'647;
    EXPECT_EQ(error_with(plan), "a sequence of 2147483647 cannot be written: they go from 0 to 1073741823");
}

TEST(RunWriter, RefusesMoreLabelsThanCanBeToldApart) {
    RunPlan plan = plan_of(2);
    plan.labels.assign(32'768, "x");
    EXPECT_EQ(error_with(plan),
              "32768 labels are more than a run can hold: it holds 32767; use fewer different labels");
}

TEST(RunWriter, RefusesAnEmptyRun) {
    RunPlan plan = plan_of(1);
    plan.tokens = {};
    plan.kept.clear();
    EXPECT_EQ(error_with(plan), "a run without tokens cannot be written");
}

// verify
// -------------------------------------------------------------------------------------------------------------

class Verify : public testing::Test {
  protected:
    Verify() {
        RunPlan plan = plan_of(6);
        plan.shard_ends = {2, 4, 6};
        plan.stored = {Dtype::f32};
        plan.kept.assign(6, 1);
        RunWriter writer(folder_ / "run", std::move(plan), {.durable = false});
        const Matrix values = Matrix::Constant(2, 2, 1.5f);
        for (std::size_t shard = 0; shard < 3; ++shard) {
            writer.begin_shard(shard);
            writer.take(0, writer.shard_tokens(shard).first, 2, values.data());
            writer.end_shard();
        }
        writer.finish();
    }
    /// "file: what" of each fault.
    std::vector<std::string> faults() const {
        std::vector<std::string> lines;
        for (const auto& fault : verify_run(folder_ / "run", no_progress()).faults)
            lines.push_back(fault.file + ": " + fault.what);
        return lines;
    }
    TempFolder folder_;
};

TEST_F(Verify, FindsAWholeRunWhole) {
    EXPECT_TRUE(faults().empty());
    EXPECT_EQ(verify_run(folder_ / "run", no_progress()).n_files, 3u + 3u * 2u + 2u + 1u + 1u);
}

TEST_F(Verify, NamesEachFileWithAByteThatChanged) {
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "run")) {
        if (!entry.is_regular_file()) continue;
        const std::string name = fs::relative(entry.path(), folder_ / "run").string();
        const std::string bytes = read_file(entry.path());
        std::string changed = bytes;
        // A digit or a byte of the data, so that JSON stays JSON.
        const std::size_t at = name.ends_with(".json") ? changed.find_last_of("12") : changed.size() - 3;
        changed[at] = changed[at] == '1' ? '3' : '1';
        folder_.write("run/" + name, changed);
        std::string found;
        try {
            for (const std::string& line : faults()) found += line + "\n";
        } catch (const Error& e) {
            found = e.what();
        }
        // The checksums of run.json's own stats stand nowhere else: then the file is named that it speaks of.
        EXPECT_NE(found.find(name == "run.json" ? "stats/norms.safetensors" : name), std::string::npos)
            << name << " is not in: " << found;
        folder_.write("run/" + name, bytes);
    }
    EXPECT_TRUE(faults().empty());
}

TEST_F(Verify, NamesAFileThatIsMissing) {
    fs::remove(folder_ / "run/shards/000001.stats.safetensors");
    EXPECT_EQ(faults(), std::vector<std::string>{"shards/000001.stats.safetensors: is missing"});
}

TEST_F(Verify, SaysThatAManifestIsMissing) {
    fs::remove(folder_ / "run/shards/000001.json");
    EXPECT_EQ(faults(),
              std::vector<std::string>{"run.json: lists 3 shards, 2 have a manifest that can be read"});
}

TEST_F(Verify, ReadsNothingOutsideTheRun) {
    Json json = read_json(folder_ / "run/run.json");
    json["stats"][0]["file"] = "../secret";
    folder_.write("run/run.json", json.dump());
    EXPECT_EQ(faults().front(), "../secret: is not a name inside the run");
}

}  // namespace
}  // namespace tomograph
