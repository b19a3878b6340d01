#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/progress.h"
#include "tomograph/engine/language_model.h"
#include "tomograph/intervene/act.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// What a sweep does its act to, one at a time.
enum class SweepOver {
    layers,      ///< what attention and MLP of a block add to the stream, both
    components,  ///< either of them
    heads,       ///< a head's part of z
};

struct SweepOptions {
    std::vector<SweepOver> over{SweepOver::components};
    ActKind act = ActKind::zero;  ///< zero, mean, resample or patch
    std::string from;             ///< patch: a text file or a run
    Range layers;
    bool exact = false;  ///< see EngineOptions
    int threads = 0;
    std::uint64_t seed = 42;
    /// Also change as much in random directions: twice the time. Default false.
    bool control = false;
    int bootstrap = 1000;
};

/// What is seen of a place's values without any act.
enum class Geometry {
    norm,          ///< mean norm, first tokens left out
    stream_share,  ///< that over the mean norm of the stream that enters the block
    first_token,   ///< norm at the first token over `norm`
    top_share,     ///< share of the squared norm in the top hundredth of coordinates
    cosine,        ///< mean cosine of pairs of tokens
    dimension,     ///< participation ratio of the variances
};
inline constexpr std::size_t kGeometries = 6;
std::string_view geometry_name(Geometry geometry);

/// One place that the act was done to.
struct SweepUnit {
    SweepOver over = SweepOver::components;
    int layer = 0;
    Component component = Component::attn_out;  ///< of a layer: attn_out, and mlp_out with it
    int head = -1;
    double change = 0;                 ///< of the loss, in nats
    std::optional<Interval> interval;  ///< by bootstrap over sequences
    std::optional<double> control;
    std::array<double, kGeometries> geometry{};

    std::string name() const;
};

/// How well a geometric quantity orders places as their damage does.
struct SweepCorrelation {
    Geometry geometry;
    double rho = 0;                    ///< Spearman's
    std::optional<Interval> interval;  ///< rank_correlation_interval() of the places
    /// The same among the places of one component: what differs between attention and MLP is no part of it.
    /// Empty where all places are of one, or none.
    std::map<Component, double> within = {};
};

struct SweepReport {
    double before = 0;  ///< loss without any act
    std::int64_t n_tokens = 0, n_sequences = 0;
    std::vector<SweepUnit> units;
    std::vector<SweepCorrelation> correlations;
    double whole_seconds = 0;  ///< of one pass over all prompts without any act
    double sweep_seconds = 0;  ///< of all acts
    std::vector<std::string> notes;
};

/// Runs the prompts once as they are, then once for each place with the act done there, from the stream that
/// enters the place's block on: what comes before it is not computed again.
/// Errors: as measure_effect's; Error for an act that a sweep has not.
SweepReport sweep(const LanguageModel& model, const PromptSet& prompts, const SweepOptions& options,
                  Progress& progress = no_progress());

Json sweep_json(const SweepReport& report, const SweepOptions& options);
std::string sweep_table(const SweepReport& report);

/// Comma-separated "layers,components,heads". Errors: Error for another word.
std::vector<SweepOver> parse_sweep_over(const std::string& text);
/// "zero", "mean", "resample" or "patch".
ActKind parse_sweep_act(const std::string& text);

}  // namespace tomograph
