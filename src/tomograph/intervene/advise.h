#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/progress.h"
#include "tomograph/engine/language_model.h"
#include "tomograph/engine/weights.h"
#include "tomograph/intervene/passes.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {

struct AdviseOptions {
    /// Directions that are kept of what a component adds to the stream. Default 16 and 64.
    std::vector<int> ranks{16, 64};
    Range layers;
    bool exact = false;  ///< see EngineOptions
    int threads = 0;
    std::uint64_t seed = 42;
    int bootstrap = 1000;
};

/// One thing that could be taken out of a model, what it saves and what it costs.
struct Advice {
    enum class Kind { remove_block, remove_component, keep_directions, quantize } kind = Kind::remove_block;
    std::string what;  ///< "blocks.3.attn_out kept in 16 directions"
    int layer = -1;
    std::optional<Component> component;
    int rank = 0;
    double variance_share = 0;  ///< keep_directions: of the fitting half's variance
    double saves = 0;           ///< share of the weights' bytes
    LossChange cost;            ///< in nats
};

struct AdviseReport {
    double before = 0;                          ///< loss of the half that is measured
    std::int64_t n_fitted = 0, n_measured = 0;  ///< sequences
    std::vector<Advice> advice;
    std::optional<LossChange> interaction;  ///< both - attention - MLP + neither, of quantisation
    std::vector<std::string> notes;
};

/// Every block removed, every component removed, and every component kept in its leading principal
/// directions: fitted to the sequences of even number, measured on the others. A component's part outside its
/// directions becomes that of its mean; the first token is left alone there, since in many models it is an
/// outlier that would be all that the fit sees. What k directions save is what a product of two thin matrices
/// in place of the component's last one would. Errors: as measure_effect's; Error for fewer than two
/// sequences.
AdviseReport advise(const LanguageModel& model, const PromptSet& prompts,
                    const std::vector<WeightTensor>& weights, const AdviseOptions& options,
                    Progress& progress = no_progress());

/// The sequences that advise() measures on.
std::vector<Sequence> measured_half(const PromptSet& prompts);

/// Losses by sequence of one model whose weights are as they were, and with one part or both quantised.
struct QuantizedLosses {
    std::vector<double> neither, attention, mlp, both;
    double attention_saves = 0, mlp_saves = 0;  ///< shares of the weights' bytes
    std::string type;
};
/// Adds three lines and the interaction: how much more both cost than one and the other.
void add_quantization(AdviseReport& report, const QuantizedLosses& losses, const AdviseOptions& options);

Json advise_json(const AdviseReport& report);
/// Cheapest for what they save first, and what costs more than it could below.
std::string advise_table(const AdviseReport& report);

}  // namespace tomograph
