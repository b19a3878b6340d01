// project on runs and with options that something is wrong with.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/program.h"
#include "support/run_folder.h"

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

}  // namespace
}  // namespace tomograph
