// Runs that are captured while acts change the model.
#include <gtest/gtest.h>

#include <string>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/model/model.h"
#include "tomograph/store/run.h"
#include "tomograph/store/run_acts.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

using namespace test;

class CaptureUnderActs : public testing::Test {
  protected:
    CaptureUnderActs() {
        prompts_ = text_prompts(model_.vocabulary(), {.sequences = 12, .length = 32});
        sites_ = model_.make_engine({.max_length = 32, .threads = 1})->sites();
    }
    CaptureOptions options(const std::string& acts, Begin begin = Begin::fresh) const {
        CaptureOptions options{.dtype = Dtype::f32, .exact = true, .threads = 1, .begin = begin};
        options.shard_bytes = 100'000;
        if (!acts.empty())
            options.intervention =
                intervention(model_, prompts_, read_acts(parse_json(acts), sites_, folder_.path()), options,
                             no_progress());
        return options;
    }
    tomograph::Run captured(const std::string& name, const std::string& acts) const {
        capture(model_, prompts_, folder_ / name, options(acts), no_progress());
        return tomograph::Run::open(folder_ / name);
    }
    static Matrix rows(const tomograph::Run& run, const Site& site) {
        Matrix values(run.n_rows(), run.site(site).width());
        run.read_rows(site, 0, run.n_rows(), values.data());
        return values;
    }

    Model model_ = Model::open("bytes-gpt2");
    PromptSet prompts_;
    std::vector<SiteShape> sites_;
    TempFolder folder_;
};

TEST_F(CaptureUnderActs, KeepsWhatTheChangedModelComputes) {
    const tomograph::Run plain = captured("plain", ""),
                         run = captured("run", R"({"acts": [{"act": "zero", "site": "blocks.1.attn_out",
                                                   "positions": "5:"}]})");
    EXPECT_EQ(acts_of(plain), "");
    EXPECT_EQ(acts_of(run), "zero blocks.1.attn_out at 5:");
    const Site attn{Component::attn_out, 1}, before{Component::resid_post, 0},
        after{Component::resid_post, 3};
    EXPECT_EQ(rows(run, before), rows(plain, before));
    EXPECT_NE(rows(run, after), rows(plain, after));
    const Matrix got = rows(run, attn), want = rows(plain, attn);
    for (Eigen::Index t = 0; t < got.rows(); ++t) {
        const bool changed = run.tokens().position[static_cast<std::size_t>(t)] >= 5;
        EXPECT_EQ(got.row(t).isZero(0), changed) << t;
        EXPECT_TRUE(changed || got.row(t) == want.row(t)) << t;
    }
}

TEST_F(CaptureUnderActs, RecordsWhatTheActsAreDoneWith) {
    NpyWriter file(folder_ / "d.npy", {1, 128});
    const std::vector<float> ones(128, 1);
    file.write(ones.data(), ones.size());
    file.finish();
    const tomograph::Run run = captured("run", R"({"acts": [{"act": "add", "site": "blocks.1.mlp_out",
                                                   "direction": "d.npy", "strength": 2}]})");
    const Json& act = run.json().at("capture").at("acts").at(0);
    EXPECT_EQ(act.at("act"), "add");
    EXPECT_EQ(act.at("direction_xxh3_128"), xxh3_128(std::as_bytes(std::span(ones))));
}

TEST_F(CaptureUnderActs, AreResumedUnderTheSameActsAlone) {
    prompts_ = text_prompts(model_.vocabulary(), {.sequences = 160, .length = 32});
    const std::string acts = R"({"acts": [{"act": "mean", "site": "blocks.2.mlp_out"}]})";
    const std::string other = R"({"acts": [{"act": "mean", "site": "blocks.1.mlp_out"}]})";
    captured("whole", acts);
    // Stopped after a shard.
    class Stopping final : public Progress {
      public:
        void begin(const std::string&, std::int64_t, const std::string&) override {}
        void update(std::int64_t done) override { stop_ = stop_ || done >= 2048; }
        void end() override {}
        bool stop_requested() const override { return stop_; }

      private:
        bool stop_ = false;
    } stopping;
    EXPECT_THROW(capture(model_, prompts_, folder_ / "run", options(acts), stopping), Stopped);
    const std::string refusal = error_of(
        [&] { capture(model_, prompts_, folder_ / "run", options(other, Begin::resume), no_progress()); });
    EXPECT_NE(refusal.find("capture.acts.0.site was \"blocks.2.mlp_out\" and is"), std::string::npos)
        << refusal;
    const std::string without = error_of(
        [&] { capture(model_, prompts_, folder_ / "run", options("", Begin::resume), no_progress()); });
    EXPECT_NE(without.find("capture.acts is missing"), std::string::npos) << without;
    capture(model_, prompts_, folder_ / "run", options(acts, Begin::resume), no_progress());
    const tomograph::Run whole = tomograph::Run::open(folder_ / "whole"),
                         run = tomograph::Run::open(folder_ / "run");
    EXPECT_EQ(whole.json().at("shards"), run.json().at("shards"));
}

}  // namespace
}  // namespace tomograph
