#include "tomograph/store/run.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "support/errors.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/store/stored_rows.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

const Site kEmbed{Component::embed, -1};
const Site kAttention1{Component::attn_out, 1};

// A whole run
// -------------------------------------------------------------------------------------------------------------

class WholeRun : public testing::Test {
  protected:
    WholeRun() {
        sketch_.labels = {"question", "context"};
        sketch_.token_labels = {0, 0, 1, -1};
        sketch_.write(folder_ / "run");
    }
    tomograph::Run open() const { return open_run(folder_ / "run"); }

    TempFolder folder_;
    RunSketch sketch_;
};

TEST_F(WholeRun, IsComplete) {
    EXPECT_TRUE(open().complete());
}

TEST_F(WholeRun, SaysWhatItIs) {
    const auto run = open();
    EXPECT_EQ(run.model_name(), "sketch");
    EXPECT_EQ(run.prompts(), "text");
    EXPECT_EQ(run.d_model(), 6);
    EXPECT_EQ(run.n_layers(), 3);
    EXPECT_EQ(run.n_tokens(), 13);
    EXPECT_EQ(run.n_sequences(), 3);
    EXPECT_EQ(run.length(), 5);
    EXPECT_EQ(run.n_rows(), 13);
}

TEST_F(WholeRun, HasItsLabels) {
    EXPECT_EQ(open().labels(), (std::vector<std::string>{"question", "context"}));
}

TEST_F(WholeRun, PutsPositionsAndSequencesToTokens) {
    const auto run = open();
    EXPECT_EQ(run.tokens().position.at(6), 1);
    EXPECT_EQ(run.tokens().sequence.at(6), 1);
    EXPECT_EQ(run.tokens().token_id.at(6), 106);
    EXPECT_EQ(run.tokens().label.at(2), 1);
}

TEST_F(WholeRun, ListsItsSites) {
    EXPECT_EQ(open().sites().size(), sketch_.sites.size());
}

TEST_F(WholeRun, HasASite) {
    EXPECT_TRUE(open().has_site(kAttention1));
    EXPECT_EQ(open().site({Component::z, 1}).shape, (std::vector<std::int64_t>{2, 3}));
}

TEST_F(WholeRun, NamesTheSitesItHas) {
    EXPECT_EQ(error_of([&] { open().site({Component::ln1, 0}); }),
              "no site blocks.0.ln1 in " + (folder_ / "run").string() +
                  ": it has 13 sites, embed to blocks.2.mlp_out");
}

TEST_F(WholeRun, ReadsARow) {
    Vector row(6);
    open().read_rows(kAttention1, 7, 8, row.data());
    EXPECT_EQ(row, sketch_.vector("blocks.1.attn_out", 7));
}

TEST_F(WholeRun, ReadsAcrossItsShards) {
    Matrix rows(11, 6);
    open().read_rows(kAttention1, 1, 12, rows.data());
    for (std::int64_t row = 0; row < 11; ++row)
        EXPECT_EQ(Vector(rows.row(row)), sketch_.vector("blocks.1.attn_out", row + 1));
}

TEST_F(WholeRun, ReadsEveryRange) {
    const auto run = open();
    for (std::int64_t begin = 0; begin <= 13; ++begin) {
        for (std::int64_t end = begin; end <= 13; ++end) {
            Matrix rows(end - begin, 6);
            run.read_rows(kEmbed, begin, end, rows.data());
            for (std::int64_t row = begin; row < end; ++row)
                ASSERT_EQ(Vector(rows.row(row - begin)), sketch_.vector("embed", row)) << begin << ":" << end;
        }
    }
}

TEST_F(WholeRun, ShowsItsRowsWhereTheyLie) {
    std::int64_t row = 0;
    for (std::size_t shard = 0; shard < shard_count(open()); ++shard) {
        const StoredRows stored = stored_rows(open(), kAttention1, shard);  // outlives its run
        ASSERT_EQ(stored.begin, row);
        Matrix rows(stored.end - stored.begin, 6);
        to_f32(stored.dtype, stored.data, rows.data(), static_cast<std::size_t>(rows.size()));
        for (; row < stored.end; ++row)
            EXPECT_EQ(Vector(rows.row(row - stored.begin)), sketch_.vector("blocks.1.attn_out", row));
    }
    EXPECT_EQ(row, 13);
}

TEST_F(WholeRun, ShowsNoRowsOfAShardThatIsNotThere) {
    EXPECT_EQ(
        error_of([&] { stored_rows(open(), kEmbed, 99); }),
        "no shard 99 in " + (folder_ / "run").string() + ": it has " + std::to_string(shard_count(open())));
}

TEST_F(WholeRun, ReadsNorms) {
    const auto norms = open().norms(kAttention1);
    ASSERT_EQ(norms.size(), 13u);
    EXPECT_FLOAT_EQ(norms[9], sketch_.vector("blocks.1.attn_out", 9).norm());
}

TEST_F(WholeRun, ReadsMeans) {
    const Vector want =
        (sketch_.vector("embed", 2) + sketch_.vector("embed", 7) + sketch_.vector("embed", 12)) / 3;
    const Matrix means = open().means(kEmbed);
    EXPECT_EQ(means.rows(), 5);
    EXPECT_TRUE(Vector(means.row(2)).isApprox(want, 1e-6f));
}

TEST_F(WholeRun, ReadsPieces) {
    EXPECT_EQ(open().pieces().at(3), "d");
}

TEST(Run, KeepsPiecesThatAreNotUtf8) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.lengths = {3};
    sketch.pieces = {"\xff", std::string("\0", 1), "caf\xc3\xa9"};
    sketch.write(folder / "run");
    EXPECT_EQ(open_run(folder / "run").pieces(), sketch.pieces);
}

TEST(Run, KeepsTheRowsThatWereSampled) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.rows = {1, 2, 5, 11, 12};
    sketch.write(folder / "run");
    const auto run = open_run(folder / "run");
    Matrix rows(2, 6);
    run.read_rows(kEmbed, 3, 5, rows.data());
    EXPECT_EQ(run.rows(), sketch.rows);
    EXPECT_EQ(Vector(rows.row(0)), sketch.vector("embed", 11));
}

TEST(Run, MayKeepNormsAndMeansOnly) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.vectors = false;
    sketch.write(folder / "run");
    const auto run = open_run(folder / "run");
    EXPECT_EQ(run.n_rows(), 0);
    EXPECT_FALSE(run.has_vectors(kEmbed));
    EXPECT_EQ(run.norms(kEmbed).size(), 13u);
}

TEST(Run, MayKeepVectorsOfSomeSitesOnly) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.sites[0].stored = false;
    sketch.write(folder / "run");
    const auto run = open_run(folder / "run");
    EXPECT_FALSE(run.has_vectors(kEmbed));
    EXPECT_TRUE(run.has_vectors(kAttention1));
}

// What a killed capture leaves
// -------------------------------------------------------------------------------------------------------------

class KilledRun : public testing::Test {
  protected:
    KilledRun() {
        sketch_.whole_shards = 2;
        sketch_.write(folder_ / "run");
        folder_.write("run/shards/000002.safetensors.1-0.tmp", "half");
    }
    tomograph::Run open() const { return open_run(folder_ / "run"); }
    RunSketch sketch_;
    TempFolder folder_;
};

TEST_F(KilledRun, IsIncomplete) {
    EXPECT_FALSE(open().complete());
    EXPECT_EQ(open().json().at("status"), "incomplete");
}
TEST_F(KilledRun, HasTheRowsOfItsWholeShards) {
    EXPECT_EQ(open().n_rows(), 8);
    EXPECT_EQ(open().json().at("shards").size(), 2u);
    Matrix rows(8, 6);
    open().read_rows(kEmbed, 0, 8, rows.data());
    EXPECT_EQ(Vector(rows.row(7)), sketch_.vector("embed", 7));
}
TEST_F(KilledRun, ReadsAsTheRunOfTheTokensThatAreThere) {
    EXPECT_EQ(open().n_tokens(), 8);
    EXPECT_EQ(open().planned_tokens(), 13);
    EXPECT_EQ(open().n_sequences(), 2);
    EXPECT_EQ(open().length(), 5);
    EXPECT_EQ(open().pieces().size(), 8u);
}
TEST_F(KilledRun, HasTheNormsOfTheTokensThatAreThere) {
    const auto norms = open().norms(kAttention1);
    ASSERT_EQ(norms.size(), 8u);
    EXPECT_FLOAT_EQ(norms[7], sketch_.vector("blocks.1.attn_out", 7).norm());
}
TEST_F(KilledRun, HasTheMeansOfTheTokensThatAreThere) {
    ASSERT_TRUE(open().has_stats());
    const Matrix means = open().means(kEmbed);
    ASSERT_EQ(means.rows(), 5);
    const Vector both = (sketch_.vector("embed", 2) + sketch_.vector("embed", 7)) / 2;
    EXPECT_TRUE(Vector(means.row(2)).isApprox(both, 1e-6f));
    EXPECT_EQ(Vector(means.row(4)), sketch_.vector("embed", 4));
}
TEST_F(KilledRun, IsCompleteOnceItsShardsAre) {
    // Killed between the last manifest and the last run.json: nothing is missing.
    sketch_.whole_shards = std::numeric_limits<std::size_t>::max();
    sketch_.write(folder_ / "other");
    const Matrix means = open_run(folder_ / "other").means(kAttention1);
    fs::remove(folder_ / "other/run.json");
    fs::remove_all(folder_ / "other/stats");
    const auto run = open_run(folder_ / "other");
    EXPECT_TRUE(run.complete());
    EXPECT_EQ(run.n_tokens(), 13);
    EXPECT_EQ(run.means(kAttention1), means);
    EXPECT_EQ(run.norms(kEmbed).size(), 13u);
}
TEST_F(KilledRun, IsRefusedWithAShardOfAnotherCapture) {
    sketch_.labels = {"other"};
    sketch_.write(folder_ / "other");
    for (const char* name : {"000001.json", "000001.safetensors", "000001.stats.safetensors"})
        fs::copy_file(folder_ / "other/shards" / name, folder_ / "run/shards" / name,
                      fs::copy_options::overwrite_existing);
    EXPECT_EQ(error_of([&] { open(); }), (folder_ / "run/shards/000001.json").string() +
                                             " does not fit its run: it belongs to another capture; capture "
                                             "it again");
}

TEST(Run, MayHaveBeenKilledBeforeItsFirstShard) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.write(folder / "run");
    fs::remove(folder / "run/run.json");
    fs::remove_all(folder / "run/shards");
    const auto run = open_run(folder / "run");
    EXPECT_FALSE(run.complete());
    EXPECT_EQ(run.n_rows(), 0);
    EXPECT_EQ(run.n_tokens(), 0);
    EXPECT_FALSE(run.has_stats());
    EXPECT_FALSE(run.has_vectors(kEmbed));
}

// Many shards, many threads
// -------------------------------------------------------------------------------------------------------------

/// One token a shard.
RunSketch many_shards(std::int64_t n) {
    RunSketch sketch;
    sketch.lengths.assign(static_cast<std::size_t>(n), 1);
    sketch.shard_tokens = 1;
    sketch.sites = {{"embed", {6}}, {"blocks.1.attn_out", {6}}};
    return sketch;
}

TEST(Run, OfManyShardsKeepsFewOfThemOpen) {
    const TempFolder folder;
    const RunSketch sketch = many_shards(700);
    sketch.write(folder / "run");
    const auto run = open_run(folder / "run");
    for (const std::int64_t row : {std::int64_t{0}, std::int64_t{699}, std::int64_t{350}}) {
        Matrix all(700, 6);
        run.read_rows(kEmbed, 0, 700, all.data());
        EXPECT_EQ(Vector(all.row(row)), sketch.vector("embed", row));
    }
    std::size_t mapped = 0;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) mapped += line.find("/run/shards/") != line.npos;
    EXPECT_GT(mapped, 100u);
    EXPECT_LE(mapped, 512u);
}

TEST(LongRun, OfTenThousandShardsOpens) {
    const TempFolder folder;
    many_shards(10'000).write(folder / "run");
    const auto open_seconds = [&] {
        const auto began = std::chrono::steady_clock::now();
        EXPECT_EQ(open_run(folder / "run").n_rows(), 10'000);
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    };
    open_seconds();
    const double complete = open_seconds();
    fs::remove(folder / "run/run.json");
    const double from_manifests = open_seconds();
    RecordProperty("complete_ms", static_cast<int>(1000 * complete));
    RecordProperty("from_manifests_ms", static_cast<int>(1000 * from_manifests));
}

TEST(Run, IsReadByManyThreadsAtOnce) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.whole_shards = 3;  // norms and means come from the shards
    sketch.write(folder / "run");
    const auto run = open_run(folder / "run");
    const auto alone = open_run(folder / "run");
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 20; ++round) {
                Matrix rows(run.n_rows(), 6);
                run.read_rows(kAttention1, 0, run.n_rows(), rows.data());
                wrong += Vector(rows.row(7)) != sketch.vector("blocks.1.attn_out", 7);
                wrong += run.norms(kEmbed) != alone.norms(kEmbed);
                wrong += run.means(kEmbed) != alone.means(kEmbed);
                wrong += run.pieces().at(3) != "d";
                if (round % 5 == 0) run.release();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tomograph
