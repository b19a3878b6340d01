#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "intervene/logits.h"
#include "support/golden.h"
#include "support/record.h"
#include "tomograph/base/json.h"
#include "tomograph/base/progress.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;

const std::string kFolder = TOMOGRAPH_TEST_DATA "/intervene/";
constexpr int kKept[] = {0, 7, 13, 19};

/// A model, two sequences, and what transformers computed under each spec.
class ActsOnGoldens : public testing::TestWithParam<std::string> {
  protected:
    ActsOnGoldens() {
        const Safetensors file(kFolder + GetParam() + ".safetensors");
        const auto tokens = file.integers("token_id");
        for (std::size_t s = 0; s < 2; ++s) {
            prompts_.sequences.emplace_back();
            prompts_.sequences.back().tokens.assign(
                tokens.begin() + static_cast<std::ptrdiff_t>(s * 20),
                tokens.begin() + static_cast<std::ptrdiff_t>(s * 20 + 20));
        }
        for (const auto& [name, tensor] : file.tensors()) {
            if (name == "token_id") continue;
            Matrix& values = wanted_[name];
            values.resize(tensor.n_rows(), tensor.width());
            tensor.read_rows(0, tensor.n_rows(), values.data());
        }
    }
    /// Logits at the kept positions of both sequences.
    Matrix kept(const Plan& plan) {
        const Matrix all = logits_of(*engine_, prompts_.sequences, model_.info().n_vocab, plan);
        Matrix rows(8, all.cols());
        for (int i = 0; i < 8; ++i) rows.row(i) = all.row(i / 4 * 20 + kKept[i % 4]);
        return rows;
    }

    Model model_ = Model::open(golden_model(GetParam()));
    std::unique_ptr<Engine> engine_ = model_.make_engine({.max_length = 20, .exact = true, .threads = 1});
    PromptSet prompts_;
    std::map<std::string, Matrix> wanted_;
};
INSTANTIATE_TEST_SUITE_P(Parity, ActsOnGoldens,
                         testing::Values("gpt2", "llama", "gemma2", "mixtral", "qwen2moe"),
                         [](const auto& test) { return test.param; });

TEST_P(ActsOnGoldens, AgreeWithHooksInTransformers) {
    const bool gelu = std::ranges::find(gelu_models(), GetParam()) != gelu_models().end();
    const double bound = gelu ? 2e-3 : 1e-4;
    double worst = row_error(kept({}), wanted_.at("plain"));
    EXPECT_LE(worst, bound) << "plain";
    const auto places = places_of(prompts_.sequences);
    const Json specs = read_json(kFolder + "acts.json");
    EXPECT_EQ(specs.size() + 1, wanted_.size());
    for (const Json& spec : specs) {
        const auto name = spec.at("name").get<std::string>();
        const ActWriter writer =
            prepare_acts(model_, *engine_, prompts_,
                         read_acts({{"acts", spec.at("acts")}}, engine_->sites(), kFolder), 1, no_progress());
        const double error = row_error(kept({.writes = writer.writes(places)}), wanted_.at(name));
        EXPECT_LE(error, bound) << name << ": remake with tests/golden/intervene/make.py";
        worst = std::max(worst, error);
    }
    RecordProperty("worst", fmt::format("{:.1e}", worst));
}

}  // namespace
}  // namespace tomograph
