#include <gguf.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "intervene/logits.h"
#include "support/direct_llama.h"
#include "support/errors.h"
#include "support/golden.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/random.h"
#include "tomograph/capture/capture.h"
#include "tomograph/intervene/direction.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;

/// What llama.cpp's own loader makes of a control vector's file: the directions one after another, that of
/// block 1 first, blocks without one as zeros.
std::vector<float> as_llama_loads(const std::filesystem::path& path) {
    ggml_context* tensors = nullptr;
    gguf_context* file = gguf_init_from_file(path.c_str(), {.no_alloc = false, .ctx = &tensors});
    if (file == nullptr) throw std::runtime_error("llama.cpp cannot read it");
    std::vector<float> data;
    for (std::int64_t i = 0; i < gguf_get_n_tensors(file); ++i) {
        const std::string name = gguf_get_tensor_name(file, i);
        const auto layer = static_cast<std::size_t>(std::stoi(name.substr(name.find('.') + 1)));
        const ggml_tensor* tensor = ggml_get_tensor(tensors, name.c_str());
        const auto width = static_cast<std::size_t>(ggml_nelements(tensor));
        data.resize(std::max(data.size(), width * layer), 0.0f);
        std::copy_n(static_cast<const float*>(tensor->data), width,
                    data.begin() + static_cast<std::ptrdiff_t>(width * (layer - 1)));
    }
    gguf_free(file);
    ggml_free(tensors);
    return data;
}

class Directions : public testing::TestWithParam<std::string> {
  protected:
    /// A run of two texts, a label each.
    tomograph::Run captured() {
        std::string a, b;
        for (int i = 0; i < 12; ++i) {
            a += "the whale and the sea and the ship, ";
            b += "0123456789 + 9876543210 = 1111111, ";
        }
        const PromptSet prompts = text_prompts(
            model_.vocabulary(),
            {.files = {folder_.write("a.txt", a), folder_.write("b.txt", b)}, .sequences = 20, .length = 40});
        capture(model_, prompts, folder_ / "run",
                {.components = {Component::resid_post}, .dtype = Dtype::f32, .exact = true, .threads = 1},
                no_progress());
        return tomograph::Run::open(folder_ / "run");
    }

    Model model_ = Model::open(golden_model(GetParam()));
    TempFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(Intervene, Directions, testing::Values("llama", "gpt2", "mixtral"),
                         [](const auto& test) { return test.param; });

// From the run to the file to llama.cpp's adapter, and the same through an act.
TEST_P(Directions, SteerLlamaAsTheActDoes) {
    const tomograph::Run run = captured();
    DirectionReport report =
        find_directions(run, {.from = run.labels()[0], .to = run.labels()[1], .permutations = 3});
    ASSERT_EQ(report.layers.size(), 3u);
    std::vector<std::string> notes;
    write_control_vector(folder_ / "v.gguf", control_vector(report, notes));
    ASSERT_EQ(notes.size(), 1u);  // block 0 has none

    const auto data = as_llama_loads(folder_ / "v.gguf");
    Sequence sequence = random_sequence(24, 256, 5);
    DirectLlama direct(golden_model(GetParam()), 24);
    const Matrix plain = direct.logits(sequence.tokens);
    ASSERT_EQ(llama_set_adapter_cvec(direct.context(), data.data(), data.size(), 32, 1, 3), 0);
    const Matrix steered = direct.logits(sequence.tokens);
    EXPECT_GT(row_error(steered, plain), 1e-2);

    const auto engine = model_.make_engine({.max_length = 24, .exact = true, .threads = 1});
    const PromptSet prompts{.sequences = {sequence}};
    const auto acts = read_acts(
        parse_json(R"({"acts": [{"act": "add", "site": "blocks.1.resid_post", "direction": "v.gguf"},
                                {"act": "add", "site": "blocks.2.resid_post", "direction": "v.gguf:2"}]})"),
        engine->sites(), folder_.path());
    const ActWriter writer = prepare_acts(model_, *engine, prompts, acts, 1, no_progress());
    const auto places = places_of(prompts.sequences);
    const Matrix ours = logits_of(*engine, prompts.sequences, 256, {.writes = writer.writes(places)});
    EXPECT_LT(row_error(ours, steered), 1e-4);
}

TEST_P(Directions, TellTextsApartAndShuffledOnesNot) {
    const tomograph::Run run = captured();
    for (const auto method : {DirectionMethod::mean, DirectionMethod::probe, DirectionMethod::pca}) {
        const auto report = find_directions(
            run, {.from = run.labels()[0], .to = run.labels()[1], .method = method, .permutations = 10});
        for (const LayerDirection& layer : report.layers) {
            // The largest difference of pairs need not be what tells the groups apart.
            EXPECT_GT(layer.auroc, method == DirectionMethod::pca ? 0.6 : 0.8) << layer.layer;
            EXPECT_LT(layer.null_mean, 0.7) << layer.layer;
            EXPECT_LT(layer.p, 0.2) << layer.layer;
        }
        EXPECT_NEAR(report.cosines(0, 0), 1, 1e-6);
    }
}

TEST(FitDirection, FollowsTheMeansTheBoundaryOrThePairs) {
    // Two clouds apart along the first axis; the second axis is noise that both share, much larger.
    Rng rng(3);
    Matrix x(400, 3);
    std::vector<std::uint8_t> label;
    std::vector<std::int32_t> pair;
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        const bool to = i % 2 == 1;
        const double shared = i % 2 == 0 ? 10 * rng.normal() : static_cast<double>(x(i - 1, 1));
        x.row(i) << static_cast<float>((to ? 2 : -2) + 0.1 * rng.normal()), static_cast<float>(shared),
            static_cast<float>(0.1 * rng.normal());
        label.push_back(to);
        pair.push_back(static_cast<std::int32_t>(i / 2));
    }
    for (const auto method : {DirectionMethod::mean, DirectionMethod::probe, DirectionMethod::pca}) {
        const Vector direction = fit_direction(x, label, pair, method);
        EXPECT_GT(direction[0] / direction.norm(), 0.99) << static_cast<int>(method);
        EXPECT_NEAR(direction[0], 4, 0.1) << static_cast<int>(method);
    }
}

TEST(FitDirection, TheBoundaryLeavesOutWhatTheGroupsShare) {
    // The means differ along (1, 1), but the rows scatter along it: the boundary's normal is (1, -1)'s
    // neighbour, the mean difference is not.
    Rng rng(5);
    Matrix x(2000, 2);
    std::vector<std::uint8_t> label;
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        const double along = 3 * rng.normal(), across = 0.3 * rng.normal();
        const bool to = i % 2 == 1;
        x.row(i) << static_cast<float>(along + across + (to ? 1 : 0)), static_cast<float>(along - across);
        label.push_back(to);
    }
    const std::vector<std::int32_t> pair(2000, 0);
    const Vector probe = fit_direction(x, label, pair, DirectionMethod::probe).normalized(),
                 mean = fit_direction(x, label, pair, DirectionMethod::mean).normalized();
    EXPECT_GT(probe.dot(Vector{{std::sqrt(0.5f), -std::sqrt(0.5f)}}), 0.95);
    EXPECT_LT(mean.dot(Vector{{std::sqrt(0.5f), -std::sqrt(0.5f)}}), 0.95);
}

}  // namespace
}  // namespace tomograph
