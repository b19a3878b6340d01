#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/engine/language_model.h"
#include "tomograph/intervene/writer.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// Whole sequences that run at once, with where each token stands.
struct PromptBatch {
    std::size_t first = 0, count = 0;
    std::int64_t first_token = 0;  ///< over all sequences
    std::vector<TokenPlace> places;
    /// Tokens of the batch that have a next one, ascending, and which token that is.
    std::vector<std::int64_t> predicts;
    std::vector<std::int32_t> next;
};
std::vector<PromptBatch> make_batches(const Engine& engine, const std::vector<Sequence>& sequences);

/// The engine that a set of prompts needs. Errors: Error when there are none, or a sequence is of one token,
/// which predicts nothing.
std::unique_ptr<Engine> make_loss_engine(const LanguageModel& model, const std::vector<Sequence>& sequences,
                                         bool exact, int threads, Progress& progress);

/// Index into engine.sites(). Errors: Error when the model has no such site.
std::size_t site_index(const Engine& engine, const Site& site);
bool has_site(const Engine& engine, const Site& site);

/// The values of some sites for all tokens of the sequences, from the undisturbed model, by the site's index.
/// Errors: Error above 4 GB; Stopped.
std::map<std::size_t, std::shared_ptr<SiteValues>> read_values(Engine& engine,
                                                               const std::vector<Sequence>& sequences,
                                                               std::vector<std::size_t> sites,
                                                               Progress& progress);

/// One batch through the model, its losses added to `sequence_loss` [n_sequences]: the mean over a sequence's
/// tokens of -log p(next token), in nats. `plan` may read (to `reader`), write and give; its logits are set
/// here.
void add_losses(Engine& engine, const std::vector<Sequence>& sequences, const PromptBatch& batch, Plan plan,
                std::vector<double>& sequence_loss, Tap* reader = nullptr);

/// The losses of a model as it is, by sequence.
std::vector<double> measure_losses(const LanguageModel& model, const std::vector<Sequence>& sequences,
                                   bool exact, int threads, Progress& progress);

/// The mean over sequences of after - before, and its interval by bootstrap over them.
struct LossChange {
    double change = 0;
    std::optional<Interval> interval;
};
LossChange loss_change(const std::vector<double>& before, const std::vector<double>& after, int replicates,
                       std::uint64_t seed);
/// What a reader is told where so few sequences gave no interval.
std::string no_interval_note(std::size_t n_sequences);

}  // namespace tomograph
