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
constexpr double kFloat = 1e-5;
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
    parity.recording = record(*engine, std::span(&sequence, 1), all_sites(*engine), true);
    return parity;
}

/// Every site of the golden is as transformers has it. `script` remakes it.
void expect_agreement(const std::string& name, const Parity& parity, const std::string& script) {
    WorstSite exact, approximate;
    for (const auto& [site, want] : parity.golden.sites) {
        const auto got = parity.recording.find(site);
        if (got == parity.recording.end()) continue;  // the tests of sites say so
        const double error = row_error(got->second, want);
        const bool is_exact = before_gelu(name, parse_site(site).value());
        WorstSite& worst = is_exact ? exact : approximate;
        if (!(error <= worst.error)) worst = {site, error};
        EXPECT_LE(error, is_exact ? kFloat : kAfterGelu)
            << name << " " << site << ": remake with tests/golden/models/" << script;
    }
    testing::Test::RecordProperty("float32", fmt::format("{:.1e} at {}", exact.error, exact.site));
    if (!approximate.site.empty())
        testing::Test::RecordProperty("after_gelu",
                                      fmt::format("{:.1e} at {}", approximate.error, approximate.site));
}

std::string last_part(const testing::TestParamInfo<std::string>& test) {
    std::string name = test.param.substr(test.param.rfind('/') + 1);
    std::ranges::replace(name, '-', '_');
    return name;
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
    expect_agreement(GetParam(), run_golden(GetParam()), "make.py " + GetParam());
}

// Families whose GGUF is llama.cpp's own converter's work: what people's models go through. Their goldens
// leave out a site here and there that transformers computes nowhere by itself.
class GoldenFamily : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Parity, GoldenFamily, testing::ValuesIn(family_models()), last_part);

TEST_P(GoldenFamily, AgreesWithTransformersAtEverySiteOfItsGolden) {
    const Parity parity = run_golden(GetParam());
    std::set<std::string> ours;
    for (const SiteShape& shape : parity.sites) ours.insert(shape.site.name());
    for (const auto& [site, values] : parity.golden.sites) EXPECT_TRUE(ours.contains(site)) << site;
    // What a block writes and what leaves it are in every golden.
    for (const SiteShape& shape : parity.sites) {
        const bool must =
            writes_to_stream(shape.site.component) || shape.site.component == Component::resid_post;
        EXPECT_TRUE(!must || parity.golden.sites.contains(shape.site.name())) << shape.site.name();
    }
    expect_agreement(GetParam(), parity, "families.py " + GetParam().substr(GetParam().rfind('/') + 1));
}

TEST(GoldenFamilies, AreManyEnough) {
    EXPECT_GE(golden_models().size() + family_models().size(), 35U);
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
