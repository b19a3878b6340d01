#include "tomograph/intervene/passes.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/statistics/answers.h"

namespace tomograph {
namespace {

constexpr std::int64_t kMostValues = 1'000'000'000;  // float32 held at once: 4 GB

/// Keeps every value of the sites that are read.
class KeepTap final : public Tap {
  public:
    KeepTap(std::vector<SiteValues*> kept) : kept_(std::move(kept)) {}
    void begin(std::int64_t first_token) { first_token_ = first_token; }
    void take(const SiteBatch& batch) override {
        SiteValues& values = *kept_[batch.site];
        std::copy_n(batch.data, batch.n_tokens * batch.width,
                    values.values.begin() + (first_token_ + batch.first_token) * batch.width);
    }

  private:
    std::vector<SiteValues*> kept_;
    std::int64_t first_token_ = 0;
};

/// -log of each next token's probability, by token.
class NextTokenTap final : public Tap {
  public:
    NextTokenTap(const std::vector<std::int32_t>& next, Tap* reader)
        : losses(next.size(), 0), next_(next), reader_(reader) {}
    void take(const SiteBatch& batch) override {
        if (reader_ != nullptr) reader_->take(batch);
    }
    void take_logits(std::size_t which, std::span<const float> logits) override {
        losses[which] =
            read_logits(logits).log_sum - static_cast<double>(logits[static_cast<std::size_t>(next_[which])]);
    }
    std::vector<double> losses;

  private:
    const std::vector<std::int32_t>& next_;
    Tap* reader_;
};

}  // namespace

std::vector<PromptBatch> make_batches(const Engine& engine, const std::vector<Sequence>& sequences) {
    std::vector<PromptBatch> all;
    std::int64_t first_token = 0;
    for (std::size_t first = 0; first < sequences.size();) {
        PromptBatch batch{first, engine.next_batch(std::span(sequences).subspan(first)), first_token, {}, {},
                          {}};
        for (std::size_t s = first; s < first + batch.count; ++s) {
            const Sequence& sequence = sequences[s];
            for (std::int64_t p = 0; p < sequence.length(); ++p) {
                if (p + 1 < sequence.length()) {
                    batch.predicts.push_back(static_cast<std::int64_t>(batch.places.size()));
                    batch.next.push_back(sequence.tokens[static_cast<std::size_t>(p + 1)]);
                }
                batch.places.push_back(
                    {static_cast<std::int64_t>(s), p, sequence.length(),
                     sequence.labels.empty() ? -1 : sequence.labels[static_cast<std::size_t>(p)]});
            }
        }
        first += batch.count;
        first_token += static_cast<std::int64_t>(batch.places.size());
        all.push_back(std::move(batch));
    }
    return all;
}

std::unique_ptr<Engine> make_loss_engine(const LanguageModel& model, const std::vector<Sequence>& sequences,
                                         bool exact, int threads, Progress& progress) {
    if (sequences.empty()) throw Error("there is nothing to read", "", "give --text or --prompt");
    for (const Sequence& sequence : sequences) {
        if (sequence.length() < 2)
            throw Error("a sequence of one token predicts nothing", "the loss is that of the next token",
                        "give sequences of two tokens or more");
    }
    return model.make_engine({.max_length = longest_read(sequences),
                              .exact = exact,
                              .threads = threads,
                              .stop_requested = [&progress] { return progress.stop_requested(); }});
}

bool has_site(const Engine& engine, const Site& site) {
    return std::ranges::any_of(engine.sites(), [&](const SiteShape& s) { return s.site == site; });
}

std::size_t site_index(const Engine& engine, const Site& site) {
    const auto& sites = engine.sites();
    const auto found = std::ranges::find_if(sites, [&](const SiteShape& s) { return s.site == site; });
    if (found == sites.end()) throw Error("the model has no site " + site.name(), "", "");
    return static_cast<std::size_t>(found - sites.begin());
}

std::map<std::size_t, std::shared_ptr<SiteValues>> read_values(Engine& engine,
                                                               const std::vector<Sequence>& sequences,
                                                               std::vector<std::size_t> sites,
                                                               Progress& progress) {
    std::sort(sites.begin(), sites.end());
    sites.erase(std::unique(sites.begin(), sites.end()), sites.end());
    std::map<std::size_t, std::shared_ptr<SiteValues>> kept;
    std::vector<std::int64_t> first_token{0};
    for (const Sequence& sequence : sequences) first_token.push_back(first_token.back() + sequence.length());
    std::int64_t total = 0;
    std::vector<SiteValues*> targets;
    for (const std::size_t site : sites) total += first_token.back() * engine.sites()[site].width();
    if (total > kMostValues)
        throw Error("the acts compare with more values than can be held",
                    fmt::format("{:.1f} GB of {} sites", 4e-9 * static_cast<double>(total), sites.size()),
                    "use fewer --sequences or a shorter --length");
    for (const std::size_t site : sites) {
        auto values = std::make_shared<SiteValues>();
        values->width = engine.sites()[site].width();
        values->first_token = first_token;
        values->values.resize(static_cast<std::size_t>(first_token.back() * values->width));
        targets.push_back(values.get());
        kept[site] = std::move(values);
    }
    KeepTap tap(targets);
    progress.begin("read what the acts compare with", first_token.back(), "tokens");
    for (const PromptBatch& batch : make_batches(engine, sequences)) {
        if (progress.stop_requested()) throw Stopped("nothing was changed yet");
        tap.begin(first_token[batch.first]);
        engine.run(std::span(sequences).subspan(batch.first, batch.count), {.reads = sites}, tap);
        progress.update(first_token[batch.first + batch.count]);
    }
    return kept;
}

void add_losses(Engine& engine, const std::vector<Sequence>& sequences, const PromptBatch& batch, Plan plan,
                std::vector<double>& sequence_loss, Tap* reader) {
    plan.logits = batch.predicts;
    NextTokenTap tap(batch.next, reader);
    engine.run(std::span(sequences).subspan(batch.first, batch.count), plan, tap);
    for (std::size_t i = 0; i < tap.losses.size(); ++i) {
        const TokenPlace& place = batch.places[static_cast<std::size_t>(batch.predicts[i])];
        sequence_loss[static_cast<std::size_t>(place.sequence)] +=
            tap.losses[i] / static_cast<double>(place.length - 1);
    }
}

std::vector<double> measure_losses(const LanguageModel& model, const std::vector<Sequence>& sequences,
                                   bool exact, int threads, Progress& progress) {
    const auto engine = make_loss_engine(model, sequences, exact, threads, progress);
    std::vector<double> losses(sequences.size(), 0);
    for (const PromptBatch& batch : make_batches(*engine, sequences)) {
        if (progress.stop_requested()) throw Stopped("nothing was measured");
        add_losses(*engine, sequences, batch, {}, losses);
    }
    return losses;
}

LossChange loss_change(const std::vector<double>& before, const std::vector<double>& after, int replicates,
                       std::uint64_t seed) {
    const std::size_t n = before.size();
    const auto change = [&](std::span<const double> weights) {
        double sum = 0, weight = 0;
        for (std::size_t s = 0; s < n; ++s) {
            sum += weights[s] * (after[s] - before[s]);
            weight += weights[s];
        }
        return sum / weight;
    };
    LossChange result{change(std::vector<double>(n, 1.0)), std::nullopt};
    result.interval = bootstrap(static_cast<int>(n), {.replicates = replicates, .seed = seed}, change);
    return result;
}

std::string no_interval_note(std::size_t n_sequences) {
    return fmt::format("no interval of {}: use {} or more", counted(n_sequences, "sequence"), kFewestGroups);
}

}  // namespace tomograph
