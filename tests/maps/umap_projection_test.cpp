// UMAP of a run: what is fitted, what is placed, and the neighbours that the run keeps.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/errors.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
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
    std::vector<fs::path> kept(const std::string& extension) const {
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(folder_ / "run/neighbors"))
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
}

TEST_F(UmapOfARun, NeedsAsManyRowsAsNeighbours) {
    UmapProjectionOptions options{.selection = {.rows = 5}};
    EXPECT_EQ(
        error_of([&] { project_umap(open_run(folder_ / "run"), "map", options); }),
        "cannot map 5 rows with n_neighbors 15: there are fewer rows than neighbours; select more rows or "
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

}  // namespace
}  // namespace tomograph
