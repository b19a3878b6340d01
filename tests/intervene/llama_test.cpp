// What is measured here against llama.cpp used directly, without any engine of ours.
#include <gtest/gtest.h>
#include <llama.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "support/direct_llama.h"
#include "support/golden.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;

class LossOfLlama : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Intervene, LossOfLlama, testing::Values("gpt2", "llama", "gemma2", "mixtral"),
                         [](const auto& test) { return test.param; });

// Perplexity as llama.cpp's own logits give it, one sequence at a time.
TEST_P(LossOfLlama, IsTheLossBefore) {
    const Model model = Model::open(golden_model(GetParam()));
    const PromptSet prompts = text_prompts(model.vocabulary(), {.sequences = 3, .length = 40});
    DirectLlama direct(golden_model(GetParam()), 40);
    double mean = 0;
    for (const Sequence& sequence : prompts.sequences) {
        const MatrixD logits = direct.logits(sequence.tokens).cast<double>();
        double loss = 0;
        for (Eigen::Index i = 0; i + 1 < logits.rows(); ++i) {
            const double largest = logits.row(i).maxCoeff();
            const double sum = (logits.row(i).array() - largest).exp().sum();
            loss += std::log(sum) + largest - logits(i, sequence.tokens[static_cast<std::size_t>(i + 1)]);
        }
        mean += loss / static_cast<double>(logits.rows() - 1) / 3;
    }
    const auto engine = model.make_engine({.max_length = 40, .exact = true, .threads = 1});
    const auto acts = read_acts(parse_json(R"({"acts": [{"act": "zero", "site": "blocks.1.attn_out"}]})"),
                                engine->sites(), "");
    const auto effect = measure_effect(model, prompts, acts, {.exact = true, .threads = 1, .control = false});
    EXPECT_NEAR(std::exp(effect.before) / std::exp(mean), 1, 1e-3);
}

}  // namespace
}  // namespace tomograph
