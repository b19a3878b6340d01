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

// Fitted rows, placed rows, and each with and without a PCA before.
TEST_F(UmapOfARun, NamesTheRowThatIsNotFinite) {
    for (const std::int32_t bad : {0, 3, 17, 58, 90, 119}) {
        sketch_.value_of = {};
        rewrite("blocks.1.mlp_out", [&](std::int32_t token, float* vector) {
            if (token == bad) vector[2] = std::numeric_limits<float>::quiet_NaN();
        });
        for (const int pre_dims : {0, 4}) {
            UmapProjectionOptions options{.pre_dims = pre_dims, .fit_rows = 300};
            options.selection.components = {Component::attn_out, Component::mlp_out};
            options.selection.layer_order = LayerOrder::reversed;  // which changes no site's name
            options.umap.n_epochs = 5;
            EXPECT_EQ(error_of([&] { project_umap(open_run(folder_ / "run"), "map", options); }),
                      "blocks.1.mlp_out, token " + std::to_string(bad) + " (sequence " +
                          std::to_string(bad / 10) + ", position " + std::to_string(bad % 10) +
                          ") holds NaN or Inf; capture with --dtype f32 --exact, or leave it out by "
                          "--positions, --layers or --components");
        }
        EXPECT_EQ(error_of([&] {
                      project_pca(open_run(folder_ / "run"), "map",
                                  {.selection = {.layer_order = LayerOrder::reversed}});
                  }).substr(0, 25),
                  "blocks.1.mlp_out, token " + std::to_string(bad).substr(0, 1));
    }
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
