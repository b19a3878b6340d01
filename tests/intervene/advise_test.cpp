#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "support/errors.h"
#include "support/golden.h"
#include "support/temp_folder.h"
#include "tomograph/intervene/advise.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/model/model.h"
#include "tomograph/model/quantize.h"
#include "tomograph/model/weights.h"

namespace tomograph {
namespace {

using namespace test;

class Advises : public testing::Test {
  protected:
    const Advice& find(const AdviseReport& report, const std::string& what) const {
        for (const Advice& advice : report.advice) {
            if (advice.what == what) return advice;
        }
        throw std::runtime_error("no advice on " + what);
    }
    Model model_ = Model::open("bytes-llama");
    PromptSet prompts_ = text_prompts(model_.vocabulary(), {.sequences = 12, .length = 32});
    std::vector<WeightTensor> weights_ = weight_tensors("bytes-llama");
};

TEST_F(Advises, TellWhatRemovalSavesAndCosts) {
    const AdviseReport report =
        advise(model_, prompts_, weights_, {.ranks = {4, 128}, .exact = true, .threads = 1, .bootstrap = 50});
    EXPECT_EQ(report.n_fitted, 6);
    EXPECT_EQ(report.n_measured, 6);
    ASSERT_EQ(report.advice.size(), 4u * (1 + 2 + 2 * 2));
    PromptSet measured = prompts_;
    measured.sequences = measured_half(prompts_);
    const auto sites = model_.make_engine({.max_length = 32, .threads = 1})->sites();
    const auto effect =
        measure_effect(model_, measured,
                       read_acts(parse_json(R"({"acts": [{"act": "zero", "site": "blocks.1.attn_out"},
                                          {"act": "zero", "site": "blocks.1.mlp_out"}]})"),
                                 sites, ""),
                       {.exact = true, .threads = 1, .control = false, .bootstrap = 10});
    EXPECT_NEAR(find(report, "blocks.1 removed").cost.change, effect.change, 1e-6);
    EXPECT_NEAR(report.before, effect.before, 1e-6);
    double total = 0, block = 0;
    for (const WeightTensor& tensor : weights_) {
        total += static_cast<double>(tensor.bytes);
        if (tensor.name.starts_with("blk.1.") && tensor.name.find("norm") == std::string::npos)
            block += static_cast<double>(tensor.bytes);
    }
    EXPECT_NEAR(find(report, "blocks.1 removed").saves, block / total, 1e-12);
    EXPECT_TRUE(find(report, "blocks.1 removed").cost.interval);
}

TEST_F(Advises, KeepEverythingWhereAllDirectionsAreKept) {
    const AdviseReport report =
        advise(model_, prompts_, weights_, {.ranks = {4, 128}, .exact = true, .threads = 1, .bootstrap = 10});
    for (const char* site : {"blocks.0.attn_out", "blocks.3.mlp_out"}) {
        const Advice &few = find(report, std::string(site) + " kept in 4 directions"),
                     &all = find(report, std::string(site) + " kept in 128 directions");
        EXPECT_NEAR(all.variance_share, 1, 1e-4);
        EXPECT_NEAR(all.cost.change, 0, 1e-4);
        EXPECT_EQ(all.saves, 0) << "a product as wide as the matrix saves nothing";
        EXPECT_LT(few.variance_share, 0.95);
        EXPECT_GT(few.variance_share, 0.05);
        EXPECT_GT(few.cost.change, 0.005);
        EXPECT_GT(few.saves, 0);
    }
}

TEST_F(Advises, TellHowQuantisationsAddUp) {
    AdviseReport report;
    const QuantizedLosses losses{.neither = {1, 2, 1, 2, 1},
                                 .attention = {1.1, 2.1, 1.1, 2.1, 1.1},
                                 .mlp = {1.2, 2.2, 1.2, 2.2, 1.2},
                                 .both = {1.35, 2.35, 1.35, 2.35, 1.35},
                                 .attention_saves = 0.1,
                                 .mlp_saves = 0.2,
                                 .type = "q4_0"};
    add_quantization(report, losses, {.bootstrap = 20});
    EXPECT_NEAR(find(report, "attention in q4_0").cost.change, 0.1, 1e-12);
    EXPECT_NEAR(find(report, "attention and MLP in q4_0").saves, 0.3, 1e-12);
    ASSERT_TRUE(report.interaction && report.interaction->interval);
    EXPECT_NEAR(report.interaction->change, 0.05, 1e-12);
    EXPECT_NEAR(report.interaction->interval->lo, 0.05, 1e-12);
}

TEST_F(Advises, NeedTwoSequences) {
    prompts_.sequences.resize(1);
    EXPECT_NE(error_of([&] { advise(model_, prompts_, weights_, {}); }).find("needs two sequences"),
              std::string::npos);
}

// What is not quantised keeps its values, and what is gets smaller.
TEST(QuantizeParts, ChangesThePartThatIsNamed) {
    const TempFolder folder;
    const auto bytes = [](const std::vector<WeightTensor>& tensors, WeightPart part) {
        double sum = 0;
        for (const WeightTensor& tensor : tensors) {
            if (in_part(tensor, part)) sum += static_cast<double>(tensor.bytes);
        }
        return sum;
    };
    const auto made = [&](const std::vector<WeightPart>& parts) {
        quantize_parts("bytes-llama", folder / "q.gguf", "q4_0", parts, 1);
        return weight_tensors((folder / "q.gguf").string());
    };
    const auto none = made({}), attention = made({WeightPart::attention}), mlp = made({WeightPart::mlp});
    EXPECT_GT(bytes(none, WeightPart::attention), 0);
    EXPECT_NEAR(bytes(attention, WeightPart::attention) / bytes(none, WeightPart::attention), 4.5 / 32, 1e-6);
    EXPECT_EQ(bytes(attention, WeightPart::mlp), bytes(none, WeightPart::mlp));
    // Rows of 344 are no whole blocks of 32: that matrix becomes F16, by llama.cpp's own rule.
    EXPECT_NEAR(bytes(mlp, WeightPart::mlp) / bytes(none, WeightPart::mlp), (2 * 4.5 / 32 + 0.5) / 3, 1e-6);
    EXPECT_EQ(bytes(mlp, WeightPart::attention), bytes(none, WeightPart::attention));
    EXPECT_NE(error_of([&] {
                  quantize_parts("bytes-llama", folder / "q.gguf", "f16", {}, 1);
              }).find("cannot become"),
              std::string::npos);
}

}  // namespace
}  // namespace tomograph
