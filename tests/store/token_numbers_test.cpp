#include "tomograph/store/token_numbers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/errors.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"

namespace tomograph {
namespace {

using namespace test;

TEST(TokenNumbers, StandBesideTheCapturedScores) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.scores = {"logprob"};
    sketch.write(folder / "run");
    std::vector<float> values;
    {
        const auto run = open_run(folder / "run");
        for (std::int64_t t = 0; t < run.n_tokens(); ++t) values.push_back(static_cast<float>(t) / 2);
        values[3] = std::numeric_limits<float>::quiet_NaN();
        save_token_numbers(run, "z_depth", values);
        save_token_numbers(run, "a_depth", std::vector<float>(values.size(), 1));
        EXPECT_EQ(run.scores(), std::vector<std::string>{"logprob"})
            << "a run does not change while it is open";
        EXPECT_NE(error_of([&] { save_token_numbers(run, "logprob", values); }).find("captured with a score"),
                  std::string::npos);
        EXPECT_NE(error_of([&] { save_token_numbers(run, "../up", values); }).find("no lower-case word"),
                  std::string::npos);
        values.pop_back();
        EXPECT_NE(
            error_of([&] { save_token_numbers(run, "short", values); }).find("12 numbers, the run 13 tokens"),
            std::string::npos);
    }
    const auto run = open_run(folder / "run");
    EXPECT_EQ(run.scores(), (std::vector<std::string>{"logprob", "a_depth", "z_depth"}));
    EXPECT_EQ(run.score("logprob")[2], 2);
    EXPECT_EQ(run.score("z_depth")[2], 1);
    EXPECT_TRUE(std::isnan(run.score("z_depth")[3]));
}

// What was computed from other tokens, or is no such file, costs nobody the run.
TEST(TokenNumbers, ThatDoNotFitArePassedOver) {
    const TempFolder folder;
    RunSketch sketch;
    sketch.write(folder / "run");
    sketch.lengths = {5, 5};
    sketch.write(folder / "other");
    const auto other = open_run(folder / "other");
    save_token_numbers(other, "depth", std::vector<float>(10, 1));
    std::filesystem::create_directories(folder / "run/numbers");
    std::filesystem::copy_file(folder / "other/numbers/depth.safetensors",
                               folder / "run/numbers/depth.safetensors");
    folder.write("run/numbers/broken.safetensors", "no tensors");
    EXPECT_TRUE(open_run(folder / "run").scores().empty());
    EXPECT_EQ(open_run(folder / "other").scores(), std::vector<std::string>{"depth"});
}

}  // namespace
}  // namespace tomograph
