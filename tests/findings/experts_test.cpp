// A mixture's router, and what its choice says of what the mixture writes.
#include "planted.h"
#include "tomograph/findings/list.h"

namespace tomograph {
namespace {

using namespace test;

constexpr int kExperts = 4;

int expert_of(std::int64_t token) {
    Rng rng(mix(9, static_cast<std::uint64_t>(token)));
    return static_cast<int>(rng.below(kExperts));
}

/// White noise over six layers with a router, the mixture's outputs shifted by `shift` along its expert's own
/// coordinate.
RunSketch mixture(double shift) {
    RunSketch sketch = white_run();
    sketch.sites = block_sites(layers_to(6), {"attn_out", "mlp_out", "resid_post"});
    for (const int layer : layers_to(6))
        sketch.sites.push_back({"blocks." + std::to_string(layer) + ".router", {kExperts}});
    sketch.value_of = [shift](const std::string& site, std::int64_t token) -> Vector {
        if (site.ends_with(".router")) {
            Vector gates = Vector::Constant(kExperts, 0.1f);
            gates[expert_of(token)] = 0.7f;
            return gates;
        }
        Vector values = noise(site, token);
        if (site.ends_with(".mlp_out")) values[expert_of(token)] += static_cast<float>(shift);
        return values;
    };
    return sketch;
}

TEST(ExpertShare, HoldsWhereExpertsWriteApart) {
    const MeasureReport report = measured(mixture(4));
    const Finding& found = finding(report, "expert_share");
    EXPECT_EQ(found.verdict, Verdict::holds) << told(found);
    EXPECT_GT(found.effect, 0.3);
    const Json& table = report.tables.at("experts");
    ASSERT_EQ(table.size(), 6u);
    EXPECT_EQ(table[0].at("load").size(), static_cast<std::size_t>(kExperts));
    EXPECT_GT(table[0].at("evenness").get<double>(), 0.98);
}

TEST(ExpertShare, HoldsNotWhereTheChoiceSaysNothing) {
    const Finding found = finding(measured(mixture(0)), "expert_share");
    EXPECT_NE(found.verdict, Verdict::holds) << told(found);
    EXPECT_NEAR(found.effect, 0, 0.01);
}

// What sequences have in common, their experts among it, is no choice token by token.
TEST(ExpertShare, IsHeldAgainstExpertsShuffledWithinSequences) {
    RunSketch sketch = mixture(0);
    const auto plain = sketch.value_of;
    sketch.value_of = [&, plain](const std::string& site, std::int64_t token) -> Vector {
        const auto sequence = token / 33;
        if (site.ends_with(".router")) {
            Vector gates = Vector::Constant(kExperts, 0.1f);
            gates[sequence % kExperts] = 0.7f;
            return gates;
        }
        Vector values = plain(site, token);
        if (site.ends_with(".mlp_out")) values[sequence % kExperts] += 4;
        return values;
    };
    const Finding found = finding(measured(sketch), "expert_share");
    EXPECT_GT(found.effect, 0.3);
    EXPECT_NE(found.verdict, Verdict::holds) << told(found);
}

TEST(ExpertShare, IsNotMeasuredWithoutARouter) {
    for (const Finding& one : measured(white_run()).findings) EXPECT_NE(one.name, "expert_share");
}

}  // namespace
}  // namespace tomograph
