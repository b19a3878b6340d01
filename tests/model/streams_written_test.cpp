// A model of several streams, DeepSeek 4's kind, read and acted upon.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine_support.h"
#include "support/errors.h"
#include "support/golden.h"

namespace tomograph {
namespace {

using namespace test;

class StreamsOfAModel : public testing::Test {
  protected:
    static constexpr Eigen::Index kStreams = 4, kWidth = 32;
    Model model_ = Model::open(golden_model("families/deepseek4"));
    std::unique_ptr<Engine> engine_ = model_.make_engine(exact());
    Sequences sequences_ = random_sequences({17, 1, 9}, 256);
    Recording plain_ = record(*engine_, sequences_);

    Recording written(const std::string& name, const std::function<void(const WriteBatch&)>& change) {
        const auto& sites = engine_->sites();
        const auto site =
            std::ranges::find_if(sites, [&](const SiteShape& s) { return s.site.name() == name; });
        const auto reads = all_sites(*engine_);
        RecordingTap tap(*engine_, reads, 27);
        engine_->run(sequences_,
                     {.reads = reads,
                      .writes = {{static_cast<std::size_t>(site - sites.begin()), change}},
                      .check_sums = true},
                     tap);
        return std::move(tap.recording);
    }
    /// What the streams before and a write become by the weights of `whose` ("attn", "mlp"), token by token.
    static Matrix after(const Recording& values, const std::string& whose, const Matrix& before,
                        const Matrix& write) {
        const Matrix& comb = values.at("blocks.0." + whose + "_hc_comb");
        const Matrix& post = values.at("blocks.0." + whose + "_hc_post");
        Matrix streams = Matrix::Zero(before.rows(), before.cols());
        for (Eigen::Index token = 0; token < before.rows(); ++token) {
            for (Eigen::Index to = 0; to < kStreams; ++to) {
                auto one = streams.row(token).segment(to * kWidth, kWidth);
                one = post(token, to) * write.row(token);
                for (Eigen::Index from = 0; from < kStreams; ++from)
                    one +=
                        comb(token, from * kStreams + to) * before.row(token).segment(from * kWidth, kWidth);
            }
        }
        return streams;
    }
};

TEST_F(StreamsOfAModel, BeginAsCopiesOfTheEmbedding) {
    EXPECT_EQ(plain_.at("blocks.0.resid_pre"), plain_.at("embed").replicate(1, kStreams));
}

TEST_F(StreamsOfAModel, AreMixedIntoWhatABlockReads) {
    const Matrix &streams = plain_.at("blocks.1.resid_pre"), &pre = plain_.at("blocks.1.attn_hc_pre");
    Matrix mixture = Matrix::Zero(streams.rows(), kWidth);
    for (Eigen::Index token = 0; token < streams.rows(); ++token) {
        for (Eigen::Index f = 0; f < kStreams; ++f)
            mixture.row(token) += pre(token, f) * streams.row(token).segment(f * kWidth, kWidth);
    }
    EXPECT_LE(row_error(plain_.at("blocks.1.attn_in"), mixture), 1e-6);
}

TEST_F(StreamsOfAModel, GetWhatABlockWritesByTheirWeights) {
    EXPECT_LE(
        row_error(plain_.at("blocks.0.resid_mid"),
                  after(plain_, "attn", plain_.at("blocks.0.resid_pre"), plain_.at("blocks.0.attn_out"))),
        1e-6);
    EXPECT_LE(row_error(plain_.at("blocks.0.resid_post"),
                        after(plain_, "mlp", plain_.at("blocks.0.resid_mid"), plain_.at("blocks.0.mlp_out"))),
              1e-6);
}

// What is written into a site is what the model goes on with, and still adds up.
TEST_F(StreamsOfAModel, LoseWhatAttentionWritesWhereThatIsZero) {
    const Recording got = written("blocks.0.attn_out", [](const WriteBatch& batch) {
        std::fill_n(batch.data, batch.n_tokens * batch.width, 0.0f);
    });
    const Matrix& before = plain_.at("blocks.0.resid_pre");
    EXPECT_LE(row_error(got.at("blocks.0.resid_mid"),
                        after(plain_, "attn", before, Matrix::Zero(before.rows(), kWidth))),
              1e-6);
    EXPECT_NE(got.at("blocks.1.mlp_out"), plain_.at("blocks.1.mlp_out"));
}

TEST_F(StreamsOfAModel, StayAsTheyAreWhereTheirMatrixIsOneAndNothingIsDealtOut) {
    const Recording got = written("blocks.0.attn_hc_comb", [](const WriteBatch& batch) {
        for (std::int64_t i = 0; i < batch.n_tokens * batch.width; ++i)
            batch.data[i] = i % batch.width % (kStreams + 1) == 0 ? 1.0f : 0.0f;
    });
    const Matrix rest = got.at("blocks.0.resid_mid") - plain_.at("blocks.0.resid_pre");
    const Matrix &post = plain_.at("blocks.0.attn_hc_post"), &write = plain_.at("blocks.0.attn_out");
    Matrix want(rest.rows(), rest.cols());
    for (Eigen::Index to = 0; to < kStreams; ++to)
        want.middleCols(to * kWidth, kWidth) = write.array().colwise() * post.col(to).array();
    EXPECT_LE(row_error(rest, want), 1e-5);
}

TEST_F(StreamsOfAModel, AddUpInEveryManner) {
    for (const EngineOptions& options : {exact(), fast()}) {
        const auto engine = model_.make_engine(options);
        struct SumTap final : Tap {
            void take(const SiteBatch&) override {}
            void take_sum_error(double error) override { worst = error; }
            double worst = 1;
        } tap;
        engine->run(sequences_, {.reads = all_sites(*engine), .check_sums = true}, tap);
        EXPECT_LE(tap.worst, 2e-7);
        EXPECT_GT(tap.worst, 0);
    }
}

}  // namespace
}  // namespace tomograph
