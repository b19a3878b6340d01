// Recurrent states: one a sequence.
#include "capture_support.h"
#include "tomograph/base/range.h"

namespace tomograph {
namespace {

using namespace test;

CaptureOptions states_of_last_tokens() {
    CaptureOptions options;
    options.components = {Component::state};
    options.positions = parse_range("-1", "positions");
    options.keep.means = false;
    options.dtype = Dtype::f32;
    options.exact = true;
    options.threads = 1;
    return options;
}

TEST(CaptureStates, KeepsOneASequenceAndLayer) {
    const Model model = Model::open(golden_model("families/mamba"));
    const PromptSet prompts = random_prompts({9, 5, 5});
    const TempFolder folder;
    Progress progress;
    capture(model, prompts, folder / "run", states_of_last_tokens(), progress);
    const auto run = Run::open(folder / "run");
    EXPECT_EQ(run.n_rows(), 3);
    ASSERT_EQ(run.sites().size(), 2U);
    const Site site{Component::state, 1};
    Matrix rows(3, run.site(site).width());
    run.read_rows(site, 0, 3, rows.data());

    const auto engine = model.make_engine({.max_length = 9, .exact = true, .states = true, .threads = 1});
    const Recording alone = record(*engine, prompts.sequences);
    const Matrix& all = alone.at("blocks.1.state");
    const std::vector<Eigen::Index> last{8, 13, 18};
    for (Eigen::Index i = 0; i < 3; ++i)
        EXPECT_LE((rows.row(i) - all.row(last[static_cast<std::size_t>(i)])).norm(),
                  1e-5f * rows.row(i).norm())
            << i;
    const std::vector<float> norms = run.norms(site);
    for (std::size_t token = 0; token < norms.size(); ++token)
        EXPECT_EQ(norms[token] > 0, std::ranges::find(last, static_cast<Eigen::Index>(token)) != last.end())
            << token;
}

TEST(CaptureStates, AreOfLastTokensOnly) {
    const Model model = Model::open(golden_model("families/mamba"));
    const PromptSet prompts = random_prompts({9, 5});
    const auto refusal = [&](const CaptureOptions& options) {
        const TempFolder folder;
        Progress progress;
        return error_of([&] { capture(model, prompts, folder / "run", options, progress); });
    };
    const std::string why =
        "states are behind the last token of a sequence only: means and vectors of the other tokens would be "
        "zeros; "
        "add --last --keep vectors";
    CaptureOptions everywhere = states_of_last_tokens();
    everywhere.positions = {};
    EXPECT_EQ(refusal(everywhere), why);
    CaptureOptions means = states_of_last_tokens();
    means.keep.means = true;
    EXPECT_EQ(refusal(means), why);
    EXPECT_EQ(refusal(states_of_last_tokens()), "");
}

TEST(CaptureStates, AreOfRecurrentModelsOnly) {
    const TempFolder folder;
    Progress progress;
    const std::string error = error_of([&] {
        capture(Model::open(golden_model("llama")), random_prompts({9}), folder / "run",
                states_of_last_tokens(), progress);
    });
    EXPECT_TRUE(error.starts_with("golden-llama has no component state: it has embed, ")) << error;
}

}  // namespace
}  // namespace tomograph
