#include "tomograph/engine/truncated.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

/// What is read in place of a sequence: its beginning as it is, then a short one for each further token.
struct Windows {
    std::vector<Sequence> sequences;
    std::vector<std::size_t> kept;  // of each, its last so many tokens are wanted
};

/// Tokens [begin, end) of a sequence, after `front` first ones. What they are labelled with does not matter.
Sequence window_of(const Sequence& whole, std::size_t front, std::size_t begin, std::size_t end) {
    Sequence window;
    const std::size_t width = whole.vectors.size() / std::max<std::size_t>(1, whole.tokens.size());
    const auto take = [&](std::size_t from, std::size_t to) {
        const auto at = [](std::size_t i) { return static_cast<std::ptrdiff_t>(i); };
        window.tokens.insert(window.tokens.end(), whole.tokens.begin() + at(from),
                             whole.tokens.begin() + at(to));
        window.vectors.insert(window.vectors.end(), whole.vectors.begin() + at(from * width),
                              whole.vectors.begin() + at(to * width));
    };
    window.source = whole.source;
    take(0, front);
    take(begin, end);
    return window;
}

void add_windows(const Sequence& sequence, std::size_t context, bool keeps_first, Windows& windows) {
    const std::size_t length = sequence.tokens.size(), front = keeps_first ? 1 : 0;
    const std::size_t whole = std::min(context, length);
    windows.sequences.push_back(window_of(sequence, 0, 0, whole));
    windows.kept.push_back(whole);
    for (std::size_t t = whole; t < length; ++t) {
        windows.sequences.push_back(window_of(sequence, front, t + 1 - (context - front), t + 1));
        windows.kept.push_back(1);
    }
}

/// Hands on what belongs to the wanted tokens, as though the batch had been read whole.
class WantedRows final : public Tap {
  public:
    /// `wanted`: of each token of the inner batch, which token of the outer one it stands for; -1: none.
    WantedRows(Tap& tap, std::vector<std::int64_t> wanted, std::size_t first_logits)
        : tap_(tap), wanted_(std::move(wanted)), first_logits_(first_logits) {}

    void take(const SiteBatch& batch) override {
        rows_.clear();
        std::int64_t first = -1, count = 0;
        const auto hand_on = [&] {
            if (count > 0) tap_.take({batch.site, first, count, batch.width, rows_.data()});
            rows_.clear();
            count = 0;
        };
        for (std::int64_t i = 0; i < batch.n_tokens; ++i) {
            const std::int64_t token = wanted_[static_cast<std::size_t>(batch.first_token + i)];
            if (token < 0) continue;
            if (count > 0 && token != first + count) hand_on();
            if (count == 0) first = token;
            const float* row = batch.data + i * batch.width;
            rows_.insert(rows_.end(), row, row + batch.width);
            ++count;
        }
        hand_on();
    }
    void take_logits(std::size_t which, std::span<const float> logits) override {
        tap_.take_logits(first_logits_ + which, logits);
    }
    void take_sum_error(double error) override { tap_.take_sum_error(error); }

  private:
    Tap& tap_;
    std::vector<std::int64_t> wanted_;
    std::size_t first_logits_;
    std::vector<float> rows_;
};

}  // namespace

TruncatedContext::TruncatedContext(std::unique_ptr<Engine> engine, std::int64_t context,
                                   std::optional<std::int32_t> start_token)
    : engine_(std::move(engine)), context_(context), start_token_(start_token) {
    const std::int64_t fewest = start_token ? 2 : 1;
    if (context < fewest)
        throw Error(fmt::format("a context of {} is too short", context),
                    start_token ? "the start token takes one place" : "a token reads itself at least",
                    fmt::format("use {} or more", fewest));
}

void TruncatedContext::run(std::span<const Sequence> batch, const Plan& plan, Tap& tap) {
    if (!plan.writes.empty() || plan.given)
        throw Error("a model that reads a short context cannot be changed",
                    "each token is read many times over", "leave out the change, or the context");
    Windows windows;
    for (const Sequence& sequence : batch) {
        const bool keeps_first = start_token_ && !sequence.tokens.empty() && sequence.vectors.empty() &&
                                 sequence.tokens.front() == *start_token_;
        add_windows(sequence, static_cast<std::size_t>(context_), keeps_first, windows);
    }
    std::int64_t token = 0;  // of the batch: windows follow each other as its tokens do
    std::size_t asked = 0;   // of plan.logits
    bool check_sums = plan.check_sums;
    for (std::size_t first = 0; first < windows.sequences.size();) {
        const auto rest = std::span<const Sequence>(windows.sequences).subspan(first);
        const auto some = rest.first(engine_->next_batch(rest));
        Plan inner{.reads = plan.reads, .check_sums = std::exchange(check_sums, false)};
        std::vector<std::int64_t> wanted;
        const std::size_t first_logits = asked;
        for (std::size_t w = 0; w < some.size(); ++w) {
            const std::size_t length = some[w].tokens.size(), kept = windows.kept[first + w];
            wanted.resize(wanted.size() + length - kept, -1);
            for (std::size_t i = 0; i < kept; ++i, ++token) {
                if (asked < plan.logits.size() && plan.logits[asked] == token) {
                    inner.logits.push_back(std::ssize(wanted));
                    ++asked;
                }
                wanted.push_back(token);
            }
        }
        WantedRows rows(tap, std::move(wanted), first_logits);
        engine_->run(some, inner, rows);
        first += some.size();
    }
}

}  // namespace tomograph
