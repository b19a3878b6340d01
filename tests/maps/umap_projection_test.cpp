// UMAP of a run: what is fitted, what is placed, and the neighbours that the run keeps.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/maps/neighbor_file.h"
#include "tomograph/maps/projection.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

class UmapOfARun : public testing::Test {
  protected:
    void SetUp() override {
        sketch_.lengths = std::vector<std::int64_t>(12, 10);
        sketch_.write(folder_ / "run");
    }
    Projection project(std::uint64_t seed = 1, double min_dist = 0.1) const {
        UmapProjectionOptions options{.fit_rows = 300};
        options.selection.components = {Component::attn_out, Component::mlp_out};
        options.umap.n_epochs = 20;
        options.umap.seed = seed;
        options.umap.min_dist = min_dist;
        return project_umap(open_run(folder_ / "run"), "map", options);
    }
    fs::path neighbors() const { return folder_ / "run/neighbors"; }
    /// The run anew, with what `edit` makes of the vectors of a site, token by token.
    void rewrite(const std::string& site,
                 const std::function<void(std::int32_t token, float* vector)>& edit) {
        sketch_.value_of = [before = sketch_, site, edit](const std::string& of, std::int64_t token) {
            Vector values = before.vector(of, token);
            if (of == site) edit(static_cast<std::int32_t>(token), values.data());
            return values;
        };
        fs::remove_all(folder_ / "run");
        sketch_.write(folder_ / "run");
    }
    std::vector<fs::path> kept(const std::string& extension) const {
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(neighbors()))
            if (entry.path().extension() == extension) found.push_back(entry.path());
        return found;
    }

    TempFolder folder_;
    RunSketch sketch_;
};

TEST_F(UmapOfARun, FitsSomeAndPlacesTheOthers) {
    const Projection map = project();
    EXPECT_EQ(map.points.rows(), 2 * 3 * 120);
    EXPECT_TRUE(map.points.allFinite());
    EXPECT_EQ(map.info.at("n_fitted"), 300);
    EXPECT_EQ(map.info.at("umap").at("neighbor_search_recall"), 1.0);
    EXPECT_GT(map.info.at("trustworthiness").get<double>(), 0.5);
    // Six sites of 120 rows each.
    const Json& own = map.info.at("neighbors_of_own_site");
    EXPECT_NEAR(own.at("chance").get<double>(), 119.0 / 719, 1e-12);
    EXPECT_GT(own.at("map").get<double>(), 0);
    EXPECT_GT(own.at("space").get<double>(), 0);
}

TEST_F(UmapOfARun, NeedsAsManyRowsAsNeighbours) {
    UmapProjectionOptions options{.selection = {.rows = 8}};
    EXPECT_EQ(
        error_of([&] { project_umap(open_run(folder_ / "run"), "map", options); }),
        "cannot map 7 rows with n_neighbors 15: there are fewer rows than neighbours; select more rows or "
        "lower n_neighbors");
}

TEST_F(UmapOfARun, KeepsItsNeighboursForTheNextMap) {
    const Projection first = project();
    ASSERT_EQ(kept(".safetensors").size(), 1u);
    const fs::path file = kept(".safetensors").front();
    const Json how = read_json(kept(".json").front());
    EXPECT_EQ(how.at("k"), 14);
    EXPECT_EQ(how.at("recall"), 1.0);
    EXPECT_EQ(Safetensors(file).at("distances").n_rows(), 300);
    EXPECT_EQ(Safetensors(file).integers("rows").size(), 300u);

    const auto written = fs::last_write_time(file);
    const Projection again = project();
    EXPECT_EQ(first.points, again.points);
    EXPECT_NE(project(1, 0.9).points, first.points);
    EXPECT_EQ(fs::last_write_time(file), written) << "searched once more";
    project(2);
    EXPECT_EQ(kept(".safetensors").size(), 2u) << "another seed draws other rows";
}

TEST_F(UmapOfARun, SearchesAgainWhereTheKeptOnesAreBroken) {
    const Projection first = project();
    const fs::path file = kept(".safetensors").front();
    const auto size = fs::file_size(file);
    std::ofstream(file, std::ios::trunc) << "no safetensors";
    EXPECT_EQ(project().points, first.points);
    EXPECT_EQ(fs::file_size(file), size);
}

TEST_F(UmapOfARun, SearchesAgainWhereTheKeptOnesAreNoNeighbours) {
    const Projection first = project();
    const fs::path file = kept(".safetensors").front();
    const Safetensors old(file);
    const auto indices = old.integers("indices"), rows = old.integers("rows");
    Matrix distances(300, 14);
    old.at("distances").read_rows(0, 300, distances.data());
    distances(7, 3) = std::numeric_limits<float>::quiet_NaN();
    write_safetensors(file, {{{"indices", Dtype::i32, {300, 14}}, indices.data()},
                             {{"distances", Dtype::f32, {300, 14}}, distances.data()},
                             {{"rows", Dtype::i32, {300}}, rows.data()}});
    EXPECT_EQ(project().points, first.points);
}

TEST_F(UmapOfARun, IsMadeWhereItsNeighboursCannotBeKept) {
    const Projection first = project();
    EXPECT_TRUE(first.notes().empty());
    fs::remove_all(neighbors());
    std::ofstream(neighbors()) << "in the way, as a read-only folder would be";
    const Projection again = project();
    EXPECT_EQ(again.points, first.points);
    ASSERT_EQ(again.notes().size(), 1u);
    EXPECT_EQ(again.notes().front(), "the neighbours are not kept for the next map: cannot create " +
                                         neighbors().string() + ": Not a directory");
    const tomograph::Run run = open_run(folder_ / "run");
    save_projection(run, again);
    EXPECT_EQ(load_projection(run, again.name).notes(), again.notes());
}

TEST_F(UmapOfARun, IsMadeOnAFullDisk) {
    const Projection first = project();
    fs::remove_all(neighbors());
    const FileSizeLimit full(1000);
    const Projection again = project();
    EXPECT_EQ(again.points, first.points);
    ASSERT_EQ(again.notes().size(), 1u);
    EXPECT_TRUE(again.notes().front().starts_with("the neighbours are not kept for the next map: cannot "))
        << again.notes().front();
    EXPECT_TRUE(fs::is_empty(neighbors()));
}

class KeptNeighbors : public UmapOfARun {
  protected:
    static constexpr std::int64_t kRows = 100, kEach = 3;
    static constexpr std::uint64_t kBytes = kRows * (2 * kEach + 1) * 4;  // without the header
    static Json how(int number) { return {{"number", number}}; }
    void save(int number, std::uint64_t most_bytes) const {
        Neighbors found{IndexMatrix::Zero(kRows, kEach), Matrix::Zero(kRows, kEach), 1, "exact"};
        std::vector<std::int64_t> rows(kRows);
        save_neighbors(open_run(folder_ / "run"), how(number), rows, found, most_bytes);
        age();
    }
    bool has(int number) const {
        const bool found = load_neighbors(open_run(folder_ / "run"), how(number)).has_value();
        age();
        return found;
    }
    /// A second passes for all that is there.
    void age() const {
        for (const auto& entry : fs::directory_iterator(neighbors()))
            fs::last_write_time(entry, entry.last_write_time() - std::chrono::seconds(1));
    }
};

TEST_F(KeptNeighbors, LeaveInTheOrderOfTheirLastUse) {
    constexpr std::uint64_t most = 3 * kBytes + 2000;  // three with their headers and descriptions
    for (const int number : {1, 2, 3}) save(number, most);
    EXPECT_TRUE(has(1));  // used once more
    save(4, most);
    EXPECT_FALSE(has(2));
    EXPECT_TRUE(has(1) && has(3) && has(4));
    save(5, most);
    EXPECT_FALSE(has(1));
    EXPECT_EQ(kept(".json").size(), 3u);
}

TEST_F(KeptNeighbors, AreReplacedInPlace) {
    constexpr std::uint64_t most = 2 * kBytes + 2000;
    save(1, most);
    save(2, most);
    save(2, most);
    EXPECT_TRUE(has(1) && has(2));
}

TEST_F(KeptNeighbors, OfMoreThanThereIsRoomForAreNotKept) {
    save(1, kBytes);
    EXPECT_TRUE(has(1));
    fs::remove_all(neighbors());
    save_neighbors(open_run(folder_ / "run"), how(2), std::vector<std::int64_t>(kRows),
                   {IndexMatrix::Zero(kRows, kEach), Matrix::Zero(kRows, kEach), 1, "exact"}, kBytes - 1);
    EXPECT_FALSE(fs::exists(neighbors()));
}

TEST_F(KeptNeighbors, MakeRoomByWhatAnInterruptedProgramLeft) {
    save(1, 10 * kBytes);
    std::ofstream(neighbors() / "0123456789abcdef.safetensors") << std::string(8 * kBytes, 'x');
    save(2, 9 * kBytes);
    EXPECT_TRUE(has(1) && has(2));
    EXPECT_FALSE(fs::exists(neighbors() / "0123456789abcdef.safetensors"));
}

// Among those that would be fitted, and those that would be placed, and with and without a PCA before.
TEST_F(UmapOfARun, LeavesOutRowsThatAreNotFiniteAndNamesThem) {
    const auto map_of = [&](int pre_dims) {
        UmapProjectionOptions options{.pre_dims = pre_dims, .fit_rows = 300};
        options.selection.components = {Component::attn_out, Component::mlp_out};
        options.selection.layer_order = LayerOrder::reversed;  // which changes no site's name
        options.umap.n_epochs = 5;
        return project_umap(open_run(folder_ / "run"), "map", options);
    };
    const auto name = [](std::int32_t token) {
        return "blocks.1.mlp_out, token " + std::to_string(token) + " (sequence " +
               std::to_string(token / 10) + ", position " + std::to_string(token % 10) + ")";
    };
    for (const std::int32_t bad : {0, 58, 119}) {
        sketch_.value_of = {};
        rewrite("blocks.1.mlp_out", [&](std::int32_t token, float* vector) {
            if (token == bad) vector[2] = std::numeric_limits<float>::quiet_NaN();
        });
        for (const int pre_dims : {0, 4}) {
            const Projection map = map_of(pre_dims);
            EXPECT_EQ(map.points.rows(), 719);
            EXPECT_TRUE(map.points.allFinite());
            EXPECT_EQ(map.info.at("n_rows"), 719);
            EXPECT_EQ(map.info.at("n_candidates"), 720);
            const std::int64_t row =
                3 * 120 + bad;  // attention and MLP of one layer, and attention of the next before
            EXPECT_EQ(map.info.at("not_finite"), Json::array({row}));
            ASSERT_EQ(map.notes().size(), 1u);
            EXPECT_EQ(map.notes()[0], "1 row holds NaN or Inf and has no place on the map: " + name(bad));
            for (std::int64_t i = 0; i < map.labels.size(); ++i) {
                EXPECT_FALSE(map.labels.site(i) == (Site{Component::mlp_out, 1}) &&
                             map.labels.token[static_cast<std::size_t>(i)] == bad);
            }
        }
        EXPECT_EQ(error_of([&] {
                      project_pca(open_run(folder_ / "run"), "map",
                                  {.selection = {.layer_order = LayerOrder::reversed}});
                  }).substr(0, 25),
                  "blocks.1.mlp_out, token " + std::to_string(bad).substr(0, 1));
    }
    sketch_.value_of = {};
    rewrite("blocks.1.mlp_out", [&](std::int32_t token, float* vector) {
        if (token % 20 == 5) vector[2] = std::numeric_limits<float>::infinity();
    });
    EXPECT_EQ(map_of(0).notes()[0], "6 rows hold NaN or Inf and have no place on the map: " + name(5) + "; " +
                                        name(25) + "; " + name(45) + "; and 3 more");
}

TEST_F(UmapOfARun, OfTooManyRowsThatAreNotFiniteIsRefused) {
    sketch_.lengths = std::vector<std::int64_t>(12, 100);
    rewrite("blocks.1.mlp_out",
            [&](std::int32_t, float* vector) { vector[2] = std::numeric_limits<float>::quiet_NaN(); });
    EXPECT_EQ(
        error_of([&] { project(); }),
        "1200 of 7200 rows hold NaN or Inf: the first of them is blocks.1.mlp_out, token 0 (sequence 0, "
        "position "
        "0); capture with --dtype f32 --exact, or leave them out by --positions, --layers or --components");
}

// Two blocks of rows are placed, each with some that were fitted.
TEST_F(UmapOfARun, WrittenAsItIsMadeHasTheSameBytes) {
    sketch_.lengths = std::vector<std::int64_t>(35, 1000);
    sketch_.shard_tokens = 5000;
    fs::remove_all(folder_ / "run");
    sketch_.write(folder_ / "run");
    UmapProjectionOptions options{.fit_rows = 500};
    options.selection.components = {Component::attn_out};
    options.selection.layers = {0, 2};
    options.umap.n_epochs = 10;
    const tomograph::Run run = open_run(folder_ / "run");
    const Projection map = project_umap(run, "map", options);
    ASSERT_EQ(map.points.rows(), 70'000);
    save_projection(run, map);
    const Json info = project_umap_to_file(run, "streamed", options);
    EXPECT_EQ(info, map.info);
    for (const char* file : {".safetensors", ".json"})
        EXPECT_TRUE(read_file(folder_ / ("run/projections/map" + std::string(file))) ==
                    read_file(folder_ / ("run/projections/streamed" + std::string(file))))
            << file;
    EXPECT_EQ(load_projection(run, "streamed").points, map.points);
    EXPECT_EQ(info.at("fit_sample"), "cover");
    options.fit_sample = FitSample::uniform;
    EXPECT_NE(project_umap(run, "map", options).points, map.points);
}

TEST_F(UmapOfARun, WrittenAsItIsMadeNeedsAFolderThatCanBeWritten) {
    std::ofstream(folder_ / "run/projections") << "in the way";
    EXPECT_EQ(error_of([&] { project_umap_to_file(open_run(folder_ / "run"), "map", {}); }).find("cannot "),
              0u);
    EXPECT_FALSE(fs::exists(neighbors())) << "searched before it knew";
}

TEST_F(UmapOfARun, OfEqualRowsIsConstantAndNotNoise) {
    for (const std::string block : {"blocks.0.", "blocks.1.", "blocks.2."}) {
        rewrite(block + "attn_out", [&](std::int32_t token, float* vector) {
            for (int i = 0; i < 6; ++i)
                vector[i] = 1.5f + (i == token % 6 ? 5e-4f : 0);  // rounding of float16
        });
    }
    UmapProjectionOptions options;
    options.selection.components = {Component::attn_out};
    const Projection map = project_umap(open_run(folder_ / "run"), "map", options);
    EXPECT_TRUE(map.constant());
    EXPECT_EQ(map.points, Matrix::Zero(360, 2));
    EXPECT_LT(map.info.at("relative_variance").get<double>(), 1e-5);
    EXPECT_FALSE(map.info.contains("trustworthiness"));
    EXPECT_FALSE(fs::exists(neighbors()));
    save_projection(open_run(folder_ / "run"), map);
    EXPECT_TRUE(load_projection(open_run(folder_ / "run"), "map").constant());
}

TEST_F(UmapOfARun, RefusesOptionsThatAreNoNumbersBeforeItSearches) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto refused = [&](auto set) {
        UmapProjectionOptions options;
        set(options.umap);
        const std::string line = error_of([&] { project_umap(open_run(folder_ / "run"), "map", options); });
        EXPECT_FALSE(fs::exists(neighbors())) << line;
        return line;
    };
    EXPECT_EQ(
        refused([&](UmapOptions& o) { o.min_dist = nan; }),
        "no map with min_dist nan and spread 1: spread must be above 0 and min_dist between 0 and spread");
    EXPECT_EQ(
        refused([&](UmapOptions& o) { o.spread = std::numeric_limits<double>::infinity(); }),
        "no map with min_dist 0.1 and spread inf: spread must be above 0 and min_dist between 0 and spread");
    EXPECT_EQ(refused([&](UmapOptions& o) { o.repulsion_strength = nan; }),
              "no map with repulsion_strength nan; use a number from 0 on");
    EXPECT_EQ(refused([&](UmapOptions& o) { o.learning_rate = nan; }),
              "no map with learning_rate nan; use a number above 0");
    EXPECT_EQ(refused([&](UmapOptions& o) { o.n_epochs = -1; }),
              "no map with a negative rate or number of epochs");
}

}  // namespace
}  // namespace tomograph
