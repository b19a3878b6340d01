// project on runs and with options that something is wrong with.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "support/program.h"
#include "support/run_folder.h"
#include "tomograph/base/json.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

class ProjectCommand : public testing::Test {
  protected:
    void SetUp() override {
        RunSketch sketch;
        sketch.lengths = std::vector<std::int64_t>(6, 10);
        sketch.write(program_ / "run");
    }
    Outcome umap(const Arguments& more = {}) const {
        Arguments arguments{"project",      "run",      "--name",     "map", "--method",  "umap",
                            "--components", "attn_out", "--n-epochs", "10",  "--threads", "1"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return program_.run(arguments);
    }
    Program program_;
};

TEST_F(ProjectCommand, SaysInOneLineWhatCouldNotBeKept) {
    std::ofstream(program_ / "run/neighbors") << "in the way, as a read-only folder would be";
    const Outcome outcome = umap();
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err,
              "note: the neighbours are not kept for the next map: cannot create run/neighbors: Not a "
              "directory\n");
    EXPECT_TRUE(fs::exists(program_ / "run/projections/map.safetensors"));
}

TEST_F(ProjectCommand, GivesItsNumbersWhereItsMapCannotBeWritten) {
    std::ofstream(program_ / "run/projections") << "in the way";
    const Outcome outcome = umap();
    EXPECT_EQ(outcome.code, 1);
    EXPECT_NE(outcome.out.find("trustworthiness"), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.err, "tomograph: error: cannot create run/projections: Not a directory\n");
}

TEST_F(ProjectCommand, RefusesWhatIsNoNumber) {
    for (const std::string option : {"--min-dist", "--spread", "--repulsion-strength"}) {
        const Outcome outcome = umap({option, "nan"});
        EXPECT_NE(outcome.code, 0) << option;
        EXPECT_NE(outcome.err.find("nan"), std::string::npos) << outcome.err;
        EXPECT_FALSE(fs::exists(program_ / "run/projections/map.safetensors"));
    }
}

TEST_F(ProjectCommand, ShowsWhatIsWorthSeeingWhereNothingIsChosen) {
    const Outcome first = program_.run({"project", "run", "--name", "first", "--dims", "2"});
    EXPECT_EQ(first.code, 0);
    EXPECT_TRUE(
        first.err.starts_with("note: nothing was chosen: what attention and MLP add, as unit vectors"))
        << first.err;
    const Json said = read_json(program_ / "run/projections/first.json").at("selection");
    EXPECT_EQ(said.at("components"), (Json{"attn_out", "mlp_out"}));
    EXPECT_EQ(said.at("positions"), "1:");
    EXPECT_EQ(said.at("normalize"), "unit");
    // One thing chosen, and the rest is as it was.
    const Outcome chosen =
        program_.run({"project", "run", "--name", "all", "--dims", "2", "--normalize", "none"});
    EXPECT_EQ(chosen.err, "");
    EXPECT_TRUE(read_json(program_ / "run/projections/all.json").at("selection").at("components").empty());
    // A run that keeps the stream alone.
    fs::remove_all(program_ / "run");
    RunSketch stream;
    stream.sites = {{"blocks.0.resid_post", {RunSketch::kDModel}},
                    {"blocks.1.resid_post", {RunSketch::kDModel}}};
    stream.write(program_ / "run");
    const Outcome second = program_.run({"project", "run", "--name", "first", "--dims", "2"});
    EXPECT_TRUE(
        second.err.starts_with("note: nothing was chosen: the stream after each block, as unit vectors"))
        << second.err;
    EXPECT_EQ(read_json(program_ / "run/projections/first.json").at("selection").at("components"),
              (Json{"resid_post"}));
    // And the same in the first one's basis is said in full.
    EXPECT_EQ(program_.run({"project", "run", "--name", "again", "--basis", "first", "--dims", "2"}).err, "");
}

TEST_F(ProjectCommand, AFigureSaysWhatWasSelected) {
    const auto subtitle = [&](const Arguments& chosen) {
        Arguments arguments{"project", "run", "--name", "p", "--components", "mlp_out", "--dims", "2"};
        arguments.insert(arguments.end(), chosen.begin(), chosen.end());
        EXPECT_EQ(program_.run(arguments).code, 0);
        EXPECT_EQ(program_.run({"plot", "run", "p", "--out", "p.svg", "--force"}).code, 0);
        return read_file(program_ / "p.svg");
    };
    EXPECT_NE(subtitle({"--layers", "2"}).find("mlp_out · layer 2 · raw vectors"), std::string::npos);
    EXPECT_NE(subtitle({"--positions", "3"}).find("mlp_out · position 3 · raw"), std::string::npos);
    EXPECT_NE(subtitle({"--positions", "-1:"}).find("mlp_out · last token · raw"), std::string::npos);
    EXPECT_NE(subtitle({"--positions", "-4:"}).find("mlp_out · last 4 tokens · raw"), std::string::npos);
    const std::string ranges = subtitle({"--layers", "1:", "--positions", "2:5"});
    EXPECT_NE(ranges.find("layers from 1 · positions 2 to 4"), std::string::npos);
    EXPECT_NE(ranges.find("6 × 10 tokens"), std::string::npos);
    RunSketch uneven;
    uneven.lengths = {10, 4};
    fs::remove_all(program_ / "run");
    uneven.write(program_ / "run");
    EXPECT_NE(subtitle({}).find("2 sequences, 14 tokens"), std::string::npos);
}

// Spectrum and axes of whole sites without a vector, from what a capture of moments leaves.
TEST_F(ProjectCommand, FitsToMomentsWithoutVectors) {
    const auto take = [&](const std::string& out, const std::string& keep) {
        const Outcome outcome =
            program_.run({"capture", "bytes-gpt2", "--out", out, "--sequences", "40", "--length", "16",
                          "--components", "attn_out,mlp_out", "--keep", keep, "--threads", "1"});
        ASSERT_EQ(outcome.code, 0) << outcome.err;
    };
    take("vectors", "vectors,moments");
    take("means", "norms,means,moments");
    take("moments", "norms,moments");
    const auto project = [&](const std::string& run, const Arguments& more, int code = 0) {
        Arguments arguments{"project", run, "--name", "p", "--components", "attn_out", "--dims", "3"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome outcome = program_.run(arguments);
        EXPECT_EQ(outcome.code, code) << outcome.err;
        if (code != 0) return Json(outcome.err);
        return read_json(program_ / run / "projections/p.json");
    };
    const Json rows = project("vectors", {});
    EXPECT_EQ(rows.at("n_rows"), 4 * 640);
    const std::map<std::string, int> points{{"vectors", 4 * 640}, {"means", 4 * 16}, {"moments", 4}};
    for (const auto& [run, n] : points) {
        const Json known = project(run, {"--from-moments"});
        EXPECT_EQ(known.at("n_rows"), n) << run;
        EXPECT_EQ(known.at("from_moments"), 4 * 640);
        EXPECT_EQ(known.contains("notes"), run != "vectors");
        for (std::size_t i = 0; i < 3; ++i) {
            const double want = rows.at("explained_variance_ratio")[i];
            EXPECT_NEAR(known.at("explained_variance_ratio")[i].get<double>(), want, 1e-3 * want) << run;
        }
        EXPECT_EQ(program_.run({"plot", run, "p", "--out", run + ".png"}).code, 0) << run;
    }
    EXPECT_NE(project("vectors", {"--from-moments", "--normalize", "unit"}, 1)
                  .get<std::string>()
                  .find("moments are of the vectors as they are"),
              std::string::npos);
    EXPECT_NE(project("vectors", {"--from-moments", "--basis", "p"}, 2).get<std::string>().find("--basis"),
              std::string::npos);
}

}  // namespace
}  // namespace tomograph
