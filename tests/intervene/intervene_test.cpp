#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/golden.h"
#include "support/temp_folder.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;

class Intervene : public testing::Test {
  protected:
    Intervene() {
        prompts_ = text_prompts(model_.vocabulary(), {.sequences = 6, .length = 24});
        sites_ = model_.make_engine({.max_length = 24, .threads = 1})->sites();
    }
    std::vector<Act> acts(const std::string& json) const {
        return read_acts(parse_json(json), sites_, folder_.path());
    }
    InterventionEffect effect(const std::string& json) const {
        return measure_effect(model_, prompts_, acts(json), {.threads = 1, .bootstrap = 100});
    }
    std::string refusal(const std::string& json) const {
        return error_of([&] { effect(json); });
    }
    void write_direction(const std::string& name, const std::vector<float>& values) const {
        NpyWriter file(folder_ / name, {1, static_cast<std::int64_t>(values.size())});
        file.write(values.data(), values.size());
        file.finish();
    }

    Model model_ = Model::open("bytes-gpt2");
    PromptSet prompts_;
    std::vector<SiteShape> sites_;
    TempFolder folder_;
};

TEST_F(Intervene, RemovingAnAttentionOutputCosts) {
    const auto done = effect(R"({"acts": [{"act": "zero", "site": "blocks.1.attn_out"}]})");
    EXPECT_GT(done.before, 0.5);
    EXPECT_LT(done.before, 3);
    EXPECT_GT(done.change, 0.01);
    EXPECT_GT(done.kl, 0.01);
    ASSERT_TRUE(done.interval);
    EXPECT_LT(done.interval->lo, done.change);
    EXPECT_GT(done.interval->hi, done.change);
    EXPECT_EQ(done.n_changed, 6 * 24);
    EXPECT_EQ(done.by_position.size(), 23u);
    ASSERT_TRUE(done.control_change);
}

// A decoder beside an encoder: what it takes from the source is one of the places to act on.
TEST(InterveneTarget, RemovingAttentionToTheSourceChangesWhatTheSourceSays) {
    const Model model = Model::open(golden_model("t5"), HeldWeights::as_stored, 1, Side::target);
    const TempFolder folder;
    std::string lines;
    for (int i = 0; i < 6; ++i)
        lines += R"({"source": "The whale swam north )" + std::string(static_cast<std::size_t>(i), 'x') +
                 R"(.", "target": "Le nord, la baleine."})"
                 "\n";
    const PromptSet prompts =
        jsonl_prompts(model.vocabulary(), {.file = folder.write("pairs.jsonl", lines), .length = 64});
    const auto engine = model.make_engine({.max_length = 64, .threads = 1});
    const auto changed = [&](const std::string& act) {
        const auto acts = read_acts(parse_json(R"({"acts": [)" + act + "]}"), engine->sites(), folder.path());
        return measure_effect(model, prompts, acts, {.threads = 1, .bootstrap = 20});
    };
    const auto removed = changed(R"({"act": "zero", "site": "blocks.0.cross_attn_out"})");
    EXPECT_GT(removed.kl, 1e-3);
    EXPECT_EQ(removed.n_changed, static_cast<std::int64_t>(6 * prompts.sequences[0].length()));
    const auto nothing =
        changed(R"({"act": "zero", "site": "blocks.0.cross_z", "heads": [1], "strength": 0})");
    EXPECT_EQ(nothing.kl, 0);
    EXPECT_EQ(nothing.change, 0);
}

/// Acts that change nothing.
class Nothing : public Intervene, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(
    Intervene, Nothing,
    testing::Values(
        R"({"acts": [{"act": "zero", "site": "blocks.1.attn_out", "strength": 0}]})",
        R"({"acts": [{"act": "add", "site": "blocks.1.mlp_out", "direction": "d.npy", "strength": 0}]})",
        R"({"acts": [{"act": "rotate", "site": "blocks.1.mlp_out", "direction": "plane.npy", "strength": 0}]})",
        R"({"acts": [{"act": "resample", "site": "blocks.0.z", "heads": [1], "strength": 0}]})",
        R"({"acts": [{"act": "project_out", "site": "blocks.0.z", "heads": [1], "direction": "head.npy",
                      "strength": 0}, {"act": "mean", "site": "blocks.3.ln2", "strength": 0}]})",
        R"({"acts": [{"act": "mean", "site": "blocks.2.resid_post", "strength": 0}]})"));

TEST_P(Nothing, LeaveEveryLossIdenticalToTheBit) {
    write_direction("d.npy", std::vector<float>(128, 1));
    write_direction("head.npy", std::vector<float>(32, 1));
    NpyWriter plane(folder_ / "plane.npy", {2, 128});
    std::vector<float> two(256, 1);
    std::fill_n(two.begin(), 64, -1.0f);
    plane.write(two.data(), two.size());
    plane.finish();
    const auto done = effect(GetParam());
    EXPECT_EQ(done.sequence_before, done.sequence_after);
    EXPECT_EQ(done.kl, 0);
}

TEST_F(Intervene, TheMeanOfOneTokenIsThatToken) {
    prompts_.sequences.resize(1);
    const auto done =
        effect(R"({"acts": [{"act": "mean", "site": "blocks.1.resid_post", "positions": "7"}]})");
    EXPECT_EQ(done.n_changed, 1);
    EXPECT_EQ(done.sequence_before, done.sequence_after);
    EXPECT_EQ(done.kl, 0);
}

TEST_F(Intervene, AHeadIsAPartOfZ) {
    const auto one = effect(R"({"acts": [{"act": "zero", "site": "blocks.1.z", "heads": [0]}]})");
    const auto all = effect(R"({"acts": [{"act": "zero", "site": "blocks.1.z"}]})");
    EXPECT_GT(one.kl, 0);
    EXPECT_GT(all.kl, one.kl);
}

TEST_F(Intervene, PositionsBoundWhatChanges) {
    const auto done =
        effect(R"({"acts": [{"act": "zero", "site": "blocks.1.attn_out", "positions": "12:"}]})");
    for (const auto& at : done.by_position) {
        if (at.position < 12)
            EXPECT_EQ(at.before, at.after) << at.position;
        else
            EXPECT_NE(at.before, at.after) << at.position;
    }
    EXPECT_EQ(
        effect(R"({"acts": [{"act": "zero", "site": "blocks.1.attn_out", "positions": "-1"}]})").n_changed,
        6);
}

TEST_F(Intervene, ProjectingOutTwiceIsProjectingOutOnce) {
    std::vector<float> direction(128);
    for (std::size_t i = 0; i < direction.size(); ++i) direction[i] = std::sin(static_cast<float>(i));
    write_direction("d.npy", direction);
    const std::string act = R"({"act": "project_out", "site": "blocks.1.resid_post", "direction": "d.npy"})";
    const auto once = effect("{\"acts\": [" + act + "]}"),
               twice = effect("{\"acts\": [" + act + ", " + act + "]}");
    EXPECT_GT(std::abs(once.change), 1e-5);
    EXPECT_NEAR(once.after, twice.after, 1e-5);
}

TEST_F(Intervene, AnActOfSeveralSitesIsOneForEach) {
    const auto all = effect(R"({"acts": [{"act": "zero", "site": "blocks.*.mlp_out", "positions": "1:"}]})");
    const auto some = acts(R"({"acts": [{"act": "zero", "site": "blocks.1:3.mlp_out"}]})");
    ASSERT_EQ(some.size(), 2u);
    EXPECT_EQ(some[0].site.name(), "blocks.1.mlp_out");
    EXPECT_EQ(some[1].json.at("site"), "blocks.2.mlp_out");
    std::string list;
    for (int layer = 0; layer < 4; ++layer)
        list += std::string(layer == 0 ? "" : ", ") + R"({"act": "zero", "site": "blocks.)" +
                std::to_string(layer) + R"(.mlp_out", "positions": "1:"})";
    EXPECT_EQ(all.sequence_after, effect("{\"acts\": [" + list + "]}").sequence_after);
    EXPECT_EQ(all.n_changed, 4 * 6 * 23);
}

TEST_F(Intervene, RotatingTwoSubspacesIsRotatingEachPairOfTheirDirections) {
    std::vector<std::vector<float>> axes(4, std::vector<float>(128, 0));
    for (std::size_t i = 0; i < 4; ++i) {
        axes[i][7 * i + 3] = 2;
        write_direction("a" + std::to_string(i) + ".npy", axes[i]);
    }
    const auto turn = [](const std::string& directions) {
        return R"({"act": "rotate", "site": "blocks.1.resid_post", "strength": 90, "direction": [)" +
               directions + "]}";
    };
    const auto both = effect("{\"acts\": [" + turn(R"("a0.npy", "a1.npy", "a2.npy", "a3.npy")") + "]}");
    const auto each =
        effect("{\"acts\": [" + turn(R"("a0.npy", "a2.npy")") + ", " + turn(R"("a1.npy", "a3.npy")") + "]}");
    EXPECT_GT(std::abs(both.change), 1e-4);
    EXPECT_NEAR(both.after, each.after, 1e-5);
    const auto other =
        effect("{\"acts\": [" + turn(R"("a0.npy", "a1.npy")") + ", " + turn(R"("a2.npy", "a3.npy")") + "]}");
    EXPECT_GT(std::abs(both.after - other.after), 1e-4);
}

TEST_F(Intervene, PatchingFromItsOwnTextChangesNothing) {
    // The first sequence's own text, read alone.
    std::string text;
    for (const std::int32_t token : prompts_.sequences[0].tokens) text += model_.vocabulary().piece(token);
    folder_.write("own.txt", text);
    prompts_.sequences.resize(1);
    const auto own =
        effect(R"({"acts": [{"act": "patch", "site": "blocks.1.attn_out", "from": "own.txt"}]})");
    EXPECT_EQ(own.sequence_before, own.sequence_after);
    folder_.write("other.txt", "It was the best of times, it was the worst of times");
    const auto other =
        effect(R"({"acts": [{"act": "patch", "site": "blocks.1.attn_out", "from": "other.txt"}]})");
    EXPECT_NE(other.after, other.before);
}

struct Slip {
    const char* json;
    const char* why;
};
class Refused : public Intervene, public testing::WithParamInterface<Slip> {};
INSTANTIATE_TEST_SUITE_P(
    Intervene, Refused,
    testing::Values(
        Slip{R"({})", "no acts are given"},
        Slip{R"({"acts": [{"act": "erase", "site": "blocks.1.z"}]})", "there is no act 'erase'"},
        Slip{R"({"acts": [{"act": "zero", "site": "blocks.9.z"}]})", "the model has no site blocks.9.z"},
        Slip{R"({"acts": [{"act": "zero", "site": "blocks.*.flow"}]})",
             "the model has no site blocks.*.flow"},
        Slip{R"({"acts": [{"act": "zero", "site": "blocks.7:.z"}]})", "7"},
        Slip{R"({"acts": [{"act": "rotate", "site": "blocks.1.ln2", "direction": ["e.npy", "e.npy"]}]})",
             "its two directions are one"},
        Slip{R"({"acts": [{"act": "rotate", "site": "blocks.1.ln2", "direction": ["e.npy", "w.npy"]}]})",
             "w.npy is 3 wide"},
        Slip{
            R"({"acts": [{"act": "rotate", "site": "blocks.1.ln2", "direction": ["e.npy", "e.npy", "e.npy"]}]})",
            "rotate needs planes, \"direction\" gives 3 rows"},
        Slip{R"({"acts": [{"act": "zero", "site": "blocks.*.z", "positions": "1:"},
                          {"act": "zero", "site": "blocks.1.z", "positions": "30:"}]})",
             "act 2 changes nothing"},
        Slip{R"({"acts": [{"act": "zero", "site": "blocks.1.z", "heads": [4]}]})", "has no head 4"},
        Slip{R"({"acts": [{"act": "zero", "site": "blocks.1.mlp_out", "heads": [0]}]})", "has no heads"},
        Slip{R"({"acts": [{"act": "zero", "site": "blocks.1.z", "sight": 1}]})", "there is no key \"sight\""},
        Slip{R"({"acts": [{"act": "add", "site": "blocks.1.mlp_out"}]})", "add needs a \"direction\""},
        Slip{R"({"acts": [{"act": "add", "site": "blocks.1.mlp_out", "direction": "w.npy"}]})",
             "w.npy is 3 wide"},
        Slip{R"({"acts": [{"act": "add", "site": "blocks.1.mlp_out", "direction": "n.npy"}]})", "holds NaN"},
        Slip{R"({"acts": [{"act": "patch", "site": "blocks.1.z"}]})", "patch needs \"from\""},
        Slip{R"({"acts": [{"act": "zero", "site": "blocks.1.z", "positions": "30:"}]})", "changes nothing"},
        Slip{R"({"acts": [{"act": "zero", "site": "blocks.1.z", "label": "x"}]})",
             "no token has the label"}));

TEST_P(Refused, BeforeTheRun) {
    write_direction("w.npy", {1, 2, 3});
    std::vector<float> values(128, 1);
    write_direction("e.npy", values);
    values[5] = std::nanf("");
    write_direction("n.npy", values);
    const std::string message = refusal(GetParam().json);
    EXPECT_NE(message.find(GetParam().why), std::string::npos) << message;
}

}  // namespace
}  // namespace tomograph
