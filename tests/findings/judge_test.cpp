// What a verdict means: each of the five on effects of which the truth is plain.
#include <gtest/gtest.h>

#include <cmath>

#include "tomograph/findings/finding.h"
#include "tomograph/findings/list.h"

namespace tomograph {
namespace {

const FindingKind kKind{
    .name = "share", .effect_is = "a share", .twin_counts = true, .margin = {.width = 0.05, .no_effect = 0}};

Effect effect_of(double value, double reach) {
    Effect effect;
    effect.value = value;
    effect.interval = Interval{value - reach, value + reach};
    effect.controls = {{"shuffled", 0.1}, {"rotated", 0.02}};
    return effect;
}

Finding alone(const Effect& effect, std::vector<TwinEffects> twins = {}, const FindingKind& kind = kKind) {
    return judge({{.kind = &kind, .effect = &effect, .twins = std::move(twins), .n_groups = 8}}).front();
}

TEST(Judge, HoldsBeyondTheStrictestControl) {
    const Finding found = alone(effect_of(0.5, 0.2));
    EXPECT_EQ(found.verdict, Verdict::holds);
    EXPECT_EQ(found.null, 0.1);
    EXPECT_EQ(found.reason, "");
    const Finding short_of = alone(effect_of(0.2, 0.12));
    EXPECT_EQ(short_of.verdict, Verdict::undecided);
    EXPECT_EQ(short_of.reason, "does not clear shuffled (0.1), though it clears rotated (0.02)");
}

TEST(Judge, PIsWhatTheIntervalSays) {
    // An interval that just touches the null is 2.5 % by definition, whatever the number of groups.
    EXPECT_NEAR(alone(effect_of(0.3, 0.2)).p, 0.025, 1e-9);
    EXPECT_NEAR(alone(effect_of(0.1, 0.2)).p, 0.5, 1e-9);
    EXPECT_LT(alone(effect_of(0.9, 0.2)).p, 1e-4);
    Effect surrogates = effect_of(0.9, 0.2);
    surrogates.p = 0.03;
    EXPECT_EQ(alone(surrogates).p, 0.03) << "the larger of the two";
    EXPECT_EQ(alone(surrogates).verdict, Verdict::undecided);
}

TEST(Judge, AbsentOnlyWithinTheMargin) {
    EXPECT_EQ(alone(effect_of(0.01, 0.03)).verdict, Verdict::absent);
    EXPECT_EQ(alone(effect_of(0.01, 0.05)).verdict, Verdict::undecided) << "the interval reaches out of it";
    FindingKind no_margin{.name = "share", .effect_is = ""};
    EXPECT_EQ(alone(effect_of(0.01, 0.03), {}, no_margin).verdict, Verdict::undecided);
    const FindingKind of_null{.name = "share", .effect_is = "", .margin = {.width = 0.5, .share = true}};
    const Finding near = alone(effect_of(0.1, 0.04), {}, of_null);
    EXPECT_EQ(near.verdict, Verdict::absent) << near.reason;
    EXPECT_EQ(near.margin, 0.05);
}

TEST(Judge, TwinsOfEveryKindMustBeBeaten) {
    const Effect effect = effect_of(0.6, 0.1);
    const std::vector<double> low{0.1, 0.12, 0.09, 0.11, 0.1};
    EXPECT_EQ(alone(effect, {{"gaussian", low}, {"spectrum", {0.2}}}).verdict, Verdict::holds);
    const Finding as_twin = alone(effect, {{"gaussian", low}, {"spectrum", {0.55}}});
    EXPECT_EQ(as_twin.verdict, Verdict::as_untrained);
    EXPECT_EQ(as_twin.reason, "untrained twins show as much: 5 gaussian 0.09 to 0.12, 1 spectrum 0.55");
    EXPECT_EQ(alone(effect, {{"gaussian", {0.1, 0.4}}}).verdict, Verdict::as_untrained)
        << "two twins that differ say little of a third";
    FindingKind without{.name = "share", .effect_is = ""};
    EXPECT_EQ(alone(effect, {{"gaussian", {0.9}}}, without).verdict, Verdict::holds)
        << "a claim that architecture cannot make";
    EXPECT_EQ(alone(effect, {{"gaussian", {kNoNumber}}}).verdict, Verdict::holds);
}

TEST(Judge, WhatItIsInsteadIsNoFinding) {
    Effect effect = effect_of(0.9, 0.1);
    effect.instead = "it is a line";
    EXPECT_EQ(alone(effect).verdict, Verdict::undecided);
    EXPECT_EQ(alone(effect).reason, "it is a line");
    effect = effect_of(0.0, 0.01);
    effect.instead = "it is a line";
    EXPECT_EQ(alone(effect).verdict, Verdict::absent);
}

TEST(Judge, WithoutIntervalOrNullNothingIsDecided) {
    Effect effect = effect_of(0.9, 0.1);
    effect.interval.reset();
    EXPECT_EQ(alone(effect).verdict, Verdict::undecided);
    EXPECT_EQ(alone(effect).reason, "too few sequences for an interval: 5 are needed");
    effect = effect_of(0.9, 0.1);
    effect.controls.clear();
    EXPECT_EQ(alone(effect).verdict, Verdict::undecided);
    EXPECT_EQ(alone(effect).reason, "there is nothing to compare it with");
    effect.unmeasurable = "no vectors";
    EXPECT_EQ(alone(effect).verdict, Verdict::not_measurable);
    EXPECT_TRUE(std::isnan(alone(effect).effect));
}

TEST(Judge, CorrectsForTheNumberOfFindings) {
    // By itself each holds at 1.5 %; of four such, one is likelier to be chance than 2.5 % allow.
    Effect weak = effect_of(0.9, 0.2);
    weak.p = 0.015;
    Effect strong = effect_of(0.9, 0.2), missing = effect_of(0.9, 0.2);
    missing.unmeasurable = "no vectors";
    EXPECT_EQ(alone(weak).verdict, Verdict::holds);
    const auto case_of = [](const Effect& effect) { return Case{&kKind, &effect, {}, 8}; };
    const auto all = judge({case_of(weak), case_of(weak), case_of(missing), case_of(strong)});
    EXPECT_EQ(all[0].verdict, Verdict::undecided);
    EXPECT_EQ(all[0].reason, "p = 0.015 by itself, 0.03 corrected for the number of findings");
    EXPECT_EQ(all[2].verdict, Verdict::not_measurable) << "and does not count";
    EXPECT_EQ(all[3].verdict, Verdict::holds) << "what is strong is not drowned";
    EXPECT_EQ(judge({case_of(weak), case_of(strong)})[0].verdict, Verdict::holds) << "step by step, as Holm";
}

TEST(Judge, EveryFindingSaysWhatIsNoEffect) {
    EXPECT_EQ(margin_text({.width = 0.05, .no_effect = 0}), "0 ± 0.05");
    EXPECT_EQ(margin_text({.width = 0.1, .share = true}), "null ± 10 %");
    EXPECT_EQ(margin_text({.width = 1.25, .no_effect = 1, .ratio = true}), "0.8 to 1.25");
    EXPECT_EQ(margin_text({}), "–");
}

TEST(Number, HasSixDigitsAndIsNullWhereThereIsNone) {
    EXPECT_EQ(number(0.123456789), Json(0.123457));
    EXPECT_EQ(number(kNoNumber), Json(nullptr));
    EXPECT_EQ(number(Interval{0.123456789, kNoNumber}), (Json{0.123457, nullptr}));
    EXPECT_EQ(number(std::optional<Interval>{}), Json(nullptr));
}

}  // namespace
}  // namespace tomograph
