// Where labels of the prompts, context and question, show in the vectors.
#include "planted.h"
#include "tomograph/findings/list.h"

namespace tomograph {
namespace {

using namespace test;

constexpr std::int64_t kLength = 33, kSequences = 16;

/// A context and a question in each sequence, in either order, the border somewhere in the middle.
std::int32_t label_of(std::int64_t token) {
    const auto sequence = static_cast<std::uint64_t>(token / kLength);
    Rng rng(mix(3, sequence));
    const auto border = static_cast<std::int64_t>(10 + rng.below(13));
    const bool question_first = rng.below(2) == 1;
    return static_cast<std::int32_t>((token % kLength < border) == question_first);
}

/// White noise over six layers, shifted by `shift` along one coordinate where the token is of the question.
RunSketch labelled(double shift, std::int32_t (*label)(std::int64_t) = label_of) {
    RunSketch sketch = white_run();
    sketch.lengths.assign(kSequences, kLength);
    sketch.labels = {"context", "question"};
    for (std::int64_t token = 0; token < kSequences * kLength; ++token)
        sketch.token_labels.push_back(label(token));
    sketch.value_of = [shift, label](const std::string& site, std::int64_t token) -> Vector {
        Vector values = noise(site, token);
        values[0] += static_cast<float>(shift * label(token));
        return values;
    };
    return sketch;
}

TEST(Labels, ShowWhereTheirTokensLieApart) {
    const MeasureReport report = measured(labelled(4));
    const Finding& share = finding(report, "label_share");
    EXPECT_EQ(share.verdict, Verdict::holds) << told(share);
    EXPECT_GT(share.effect, 0.1);
    const Finding& probe = finding(report, "label_probe");
    EXPECT_EQ(probe.verdict, Verdict::holds) << told(probe);
    EXPECT_GT(probe.effect, 0.85);
    EXPECT_EQ(report.tables.at("labels").size(), 18u);  // every site
    EXPECT_EQ(probe.detail.at("labels"), Json({"context", "question"}));
}

TEST(Labels, ShowNothingInWhiteNoise) {
    const MeasureReport report = measured(labelled(0));
    for (const char* name : {"label_share", "label_probe"}) {
        const Finding& found = finding(report, name);
        EXPECT_NE(found.verdict, Verdict::holds) << told(found);
        EXPECT_NEAR(found.effect, 0, 0.06) << name;
    }
}

// Where every question ends its prompt at the same place, nothing tells it from its place: labels of other
// sequences are the labels.
TEST(Labels, AreNoMoreThanPositionsWhereAllPromptsAreAlike) {
    const MeasureReport report = measured(
        labelled(4, [](std::int64_t token) { return static_cast<std::int32_t>(token % kLength > 20); }));
    for (const char* name : {"label_share", "label_probe"}) {
        const Finding& found = finding(report, name);
        EXPECT_GT(found.effect, 0.1) << name;
        EXPECT_NE(found.verdict, Verdict::holds) << told(found);
    }
}

// What sequences have in common is no label: a probe is decided on sequences that it did not see.
TEST(Labels, AreToldInSequencesThatWereNotSeen) {
    RunSketch sketch = labelled(0);
    sketch.value_of = [](const std::string& site, std::int64_t token) -> Vector {
        Vector values = noise(site, token);
        const std::int64_t sequence = token / kLength;
        // Each sequence has its own coordinate and side for the question.
        values[sequence % kDim] += (sequence % 3 == 0 ? 6.0f : -6.0f) * static_cast<float>(label_of(token));
        return values;
    };
    const Finding found = finding(measured(sketch), "label_probe");
    EXPECT_NE(found.verdict, Verdict::holds) << told(found);
}

TEST(Labels, AreThreeAsWellAsTwo) {
    RunSketch sketch = labelled(0);
    sketch.labels = {"system", "user", "assistant"};
    for (std::size_t t = 0; t < sketch.token_labels.size(); ++t)
        sketch.token_labels[t] = static_cast<std::int32_t>((t + t / kLength) % 3);
    const auto labels = sketch.token_labels;
    sketch.value_of = [labels](const std::string& site, std::int64_t token) -> Vector {
        Vector values = noise(site, token);
        values[labels[static_cast<std::size_t>(token)]] += 5;
        return values;
    };
    const Finding found = finding(measured(sketch), "label_probe");
    EXPECT_EQ(found.verdict, Verdict::holds) << told(found);
    EXPECT_GT(found.effect, 0.8);
}

TEST(Labels, AreNotMeasuredWhereThereAreNone) {
    for (const Finding& one : measured(white_run()).findings)
        EXPECT_FALSE(one.name.starts_with("label_")) << one.name;
}

}  // namespace
}  // namespace tomograph
