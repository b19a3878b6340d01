// Colours of a projection's rows, by what the run says of its tokens.
#include "tomograph/figures/coloring.h"

#include <cmath>

#include "figures/support.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"

namespace tomograph {
namespace {

using namespace test;

class ColorRows : public ::testing::Test {
  protected:
    ColorRows() {
        RunSketch sketch;
        sketch.columns = {{"role", {"user", "assistant"}}, {"turn"}};
        sketch.entries = {std::vector<std::int32_t>(13, 1), std::vector<std::int32_t>(13, 4)};
        sketch.entries[0][2] = -1;
        sketch.scores = {"logprob", "rank"};
        sketch.write(folder_ / "run");
        projection_.name = "p";
        projection_.points = Matrix::Zero(3, 2);
        for (const std::int32_t token : {2, 5, -1})
            projection_.labels.add({{Component::embed, -1}, -1, 0, token, 0, -1, 1.0f}, false);
    }
    Coloring by(const std::string& word) const {
        return color_rows(Run::open(folder_ / "run"), projection_, word);
    }
    TempFolder folder_;
    Projection projection_;
};

TEST_F(ColorRows, ByAColumnOfWords) {
    const auto colors = std::get<Categories>(by("role"));
    EXPECT_EQ(colors.names, (std::vector<std::string>{"user", "assistant", "none"}));
    EXPECT_EQ(colors.of_point, (std::vector<std::int32_t>{2, 1, 2}));
}

TEST_F(ColorRows, ByAColumnOfNumbers) {
    const auto colors = std::get<Values>(by("turn"));
    EXPECT_EQ(colors.of_point[1], 4.0f);
    EXPECT_TRUE(std::isnan(colors.of_point[2]));  // an average
}

TEST_F(ColorRows, ByAScore) {
    const auto colors = std::get<Values>(by("rank"));
    EXPECT_EQ(colors.of_point[0], 102.0f);
    EXPECT_TRUE(colors.log);
    EXPECT_FALSE(std::get<Values>(by("logprob")).log);
}

TEST_F(ColorRows, ByTheExpertThatTheRouterPrefers) {
    for (const std::int32_t token : {2, 5})
        projection_.labels.add({{Component::mlp_out, 1}, 1, 0, token, 0, -1, 1.0f}, false);
    const auto colors = std::get<Categories>(by("expert"));
    RunSketch sketch;
    for (const std::size_t row : {3u, 4u}) {
        Eigen::Index best = 0;
        sketch.vector("blocks.1.router", row == 3 ? 2 : 5).maxCoeff(&best);
        const auto shown = static_cast<std::size_t>(colors.of_point[row]);
        EXPECT_EQ(colors.names[shown], "expert " + std::to_string(best));
    }
    EXPECT_EQ(colors.names[static_cast<std::size_t>(colors.of_point[0])], "none");  // no mixture's
}

TEST_F(ColorRows, ByNothingElse) {
    EXPECT_EQ(
        error_of([&] { by("mood"); }),
        "cannot colour by 'mood'; use component, layer, position, token, label, norm, role, turn, logprob, "
        "rank, expert");
}

TEST_F(ColorRows, ByWhatTheRunLacksSaysHowToMakeIt) {
    const std::string message = error_of([&] { by("outlier"); });
    EXPECT_NE(
        message.find("the run does not hold it yet; make it with: tomograph measure RUN, or use component"),
        std::string::npos)
        << message;
    EXPECT_NE(error_of([&] { by("lens_depth"); }).find("tomograph lens RUN --model MODEL"),
              std::string::npos);
}

}  // namespace
}  // namespace tomograph
