#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "support/golden.h"
#include "support/record.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;

/// Relative error allowed per row where ggml computes in float32, and once its half-precision GELU was
/// applied.
constexpr double kFloat = 1e-4;
constexpr double kAfterGelu = 2e-3;

std::vector<std::string> dense_models() {
    std::vector<std::string> names = golden_models();
    std::erase_if(names, [](const std::string& name) { return name == "mixtral" || name == "qwen2moe"; });
    return names;
}

struct Parity {
    Golden golden;
    std::vector<SiteShape> sites;
    Recording recording;
};

/// Run the model on its golden tokens. The engine's names must be transformers', whatever llama.cpp calls
/// them.
Parity run_golden(const std::string& name) {
    Parity parity{read_golden(name), {}, {}};
    const Model model = Model::open(golden_model(name));
    const auto engine = model.make_engine({.max_length = 40, .exact = true, .threads = 1});
    Sequence sequence;
    sequence.tokens = parity.golden.tokens;
    parity.sites = engine->sites();
    parity.recording = record(*engine, std::span(&sequence, 1));
    return parity;
}

class GoldenModel : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Parity, GoldenModel, testing::ValuesIn(golden_models()),
                         [](const auto& test) { return test.param; });

TEST_P(GoldenModel, HasTheSitesOfTransformers) {
    const Parity parity = run_golden(GetParam());
    std::set<std::string> ours, theirs;
    for (const SiteShape& shape : parity.sites) ours.insert(shape.site.name());
    for (const auto& [site, values] : parity.golden.sites) theirs.insert(site);
    EXPECT_EQ(ours, theirs);
}

TEST_P(GoldenModel, AgreesWithTransformersAtEverySite) {
    const Parity parity = run_golden(GetParam());
    WorstSite exact, approximate;
    for (const auto& [name, want] : parity.golden.sites) {
        const auto got = parity.recording.find(name);
        if (got == parity.recording.end()) continue;  // HasTheSitesOfTransformers says so
        const double error = row_error(got->second, want);
        const bool is_exact = before_gelu(GetParam(), parse_site(name).value());
        WorstSite& worst = is_exact ? exact : approximate;
        if (!(error <= worst.error)) worst = {name, error};
        EXPECT_LE(error, is_exact ? kFloat : kAfterGelu)
            << GetParam() << " " << name << ": remake with tests/golden/models/make.py " << GetParam();
    }
    RecordProperty("float32", fmt::format("{:.1e} at {}", exact.error, exact.site));
    if (!approximate.site.empty())
        RecordProperty("after_gelu", fmt::format("{:.1e} at {}", approximate.error, approximate.site));
}

class GoldenDenseModel : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Parity, GoldenDenseModel, testing::ValuesIn(dense_models()),
                         [](const auto& test) { return test.param; });

// Flash attention and a half-precision cache, the default, may err by half-precision roundings. In a mixture
// these may choose another expert, which is why it is left out.
TEST_P(GoldenDenseModel, AgreesLooselyWithoutExactness) {
    const Golden golden = read_golden(GetParam());
    const Model model = Model::open(golden_model(GetParam()));
    const auto engine = model.make_engine({.max_length = 40, .threads = 1});
    Sequence sequence;
    sequence.tokens = golden.tokens;
    const WorstSite worst = worst_site(record(*engine, std::span(&sequence, 1)), golden.sites);
    RecordProperty("worst", fmt::format("{:.1e} at {}", worst.error, worst.site));
    EXPECT_LE(worst.error, 1e-2) << worst.site;
}

}  // namespace
}  // namespace tomograph
