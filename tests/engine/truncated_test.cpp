// A short context: each token's values are those of a short sequence that ends with it.
#include "tomograph/engine/truncated.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <vector>

#include "support/errors.h"

namespace tomograph {
namespace {

using test::error_of;

/// Its one site is the sum of the tokens of a sequence up to each; logits say it, too.
class Summing final : public Engine {
  public:
    explicit Summing(std::int64_t batch_tokens) : batch_tokens_(batch_tokens) {}
    const std::vector<SiteShape>& sites() const override { return sites_; }
    std::int64_t batch_tokens() const override { return batch_tokens_; }
    void run(std::span<const Sequence> batch, const Plan& plan, Tap& tap) override {
        std::vector<float> sums;
        for (const Sequence& sequence : batch) {
            longest = std::max(longest, sequence.length());
            float sum = 0;
            for (const std::int32_t token : sequence.tokens) sums.push_back(sum += static_cast<float>(token));
        }
        // In pieces, as an engine may.
        for (std::size_t at = 0; at < sums.size(); at += 3) {
            const auto n = std::min<std::size_t>(3, sums.size() - at);
            tap.take({0, static_cast<std::int64_t>(at), static_cast<std::int64_t>(n), 1, sums.data() + at});
        }
        for (std::size_t i = 0; i < plan.logits.size(); ++i)
            tap.take_logits(i, {&sums[static_cast<std::size_t>(plan.logits[i])], 1});
        checks += plan.check_sums;
        n_read += std::ssize(sums);
    }
    std::int64_t longest = 0, n_read = 0;
    int checks = 0;

  private:
    std::int64_t batch_tokens_;
    std::vector<SiteShape> sites_{{{Component::resid_post, 0}, {1}}};
};

struct Seen final : Tap {
    void take(const SiteBatch& batch) override {
        for (std::int64_t i = 0; i < batch.n_tokens; ++i) {
            EXPECT_FALSE(sums.contains(batch.first_token + i)) << "each token once";
            sums[batch.first_token + i] = batch.data[i];
        }
    }
    void take_logits(std::size_t which, std::span<const float> values) override { logits[which] = values[0]; }
    std::map<std::int64_t, float> sums;
    std::map<std::size_t, float> logits;
};

const std::vector<Sequence> kBatch{
    {.tokens = {1, 2, 4, 8, 16, 32}}, {.tokens = {64, 128}}, {.tokens = {1, 3, 9, 27}}};

Seen read(Summing*& inner, std::int64_t context, std::optional<std::int32_t> start,
          const Plan& plan = {.reads = {0}}, std::int64_t batch_tokens = 7) {
    auto engine = std::make_unique<Summing>(batch_tokens);
    inner = engine.get();
    static std::unique_ptr<TruncatedContext> kept;
    kept = std::make_unique<TruncatedContext>(std::move(engine), context, start);
    Seen seen;
    kept->run(kBatch, plan, seen);
    return seen;
}

std::vector<float> values_of(const Seen& seen) {
    std::vector<float> values;
    for (const auto& [token, value] : seen.sums) values.push_back(value);
    return values;
}

TEST(TruncatedContext, EachTokenSeesItsLastFew) {
    Summing* inner = nullptr;
    const Seen seen = read(inner, 3, std::nullopt);
    EXPECT_EQ(values_of(seen), (std::vector<float>{1, 3, 7, 14, 28, 56, 64, 192, 1, 4, 13, 39}));
    EXPECT_EQ(inner->longest, 3);
}

TEST(TruncatedContext, TheStartTokenStays) {
    Summing* inner = nullptr;
    // The first and the third sequence begin with it.
    const Seen seen = read(inner, 3, 1);
    EXPECT_EQ(values_of(seen), (std::vector<float>{1, 3, 7, 13, 25, 49, 64, 192, 1, 4, 13, 37}));
}

TEST(TruncatedContext, OfOneTokenIsTheTokenAlone) {
    Summing* inner = nullptr;
    EXPECT_EQ(values_of(read(inner, 1, std::nullopt)),
              (std::vector<float>{1, 2, 4, 8, 16, 32, 64, 128, 1, 3, 9, 27}));
}

TEST(TruncatedContext, AsLongAsTheSequencesChangesNothing) {
    Summing* inner = nullptr;
    EXPECT_EQ(values_of(read(inner, 6, std::nullopt)),
              (std::vector<float>{1, 3, 7, 15, 31, 63, 64, 192, 1, 4, 13, 40}));
    EXPECT_EQ(inner->n_read, 12);
}

TEST(TruncatedContext, LogitsAreThoseOfTheTokensThatWereAskedFor) {
    for (const std::int64_t batch_tokens : {3, 7, 1000}) {
        Summing* inner = nullptr;
        const Seen seen = read(inner, 2, std::nullopt,
                               {.reads = {0}, .logits = {0, 3, 5, 7, 11}, .check_sums = true}, batch_tokens);
        EXPECT_EQ(seen.logits, (std::map<std::size_t, float>{{0, 1}, {1, 12}, {2, 48}, {3, 192}, {4, 36}}));
        EXPECT_EQ(inner->checks, 1) << "once, as a batch is checked";
    }
}

TEST(TruncatedContext, RefusesWhatItCannotDo) {
    EXPECT_EQ(error_of([] { TruncatedContext(std::make_unique<Summing>(8), 1, 5); }),
              "a context of 1 is too short: the start token takes one place; use 2 or more");
    TruncatedContext engine(std::make_unique<Summing>(8), 2, std::nullopt);
    Seen seen;
    const Plan plan{.writes = {{.site = 0, .change = [](const WriteBatch&) {}}}};
    EXPECT_EQ(
        error_of([&] { engine.run(kBatch, plan, seen); }),
        "a model that reads a short context cannot be changed: each token is read many times over; leave "
        "out the change, or the context");
}

}  // namespace
}  // namespace tomograph
