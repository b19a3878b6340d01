#pragma once
// What a finding is made of: its description, its measurement on one run, and its verdict. Each finding is
// one file of this folder and one line of list.h.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/findings/chart.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

class LayerPair;
class SiteRows;
class Subject;

/// What one run shows of one claim, before it is judged.
struct Effect {
    double value = kNoNumber;
    std::optional<Interval> interval;
    std::vector<Control> controls;  ///< the run's own; the twin's is added by judge()
    std::optional<double> p;        ///< chance of such an effect among surrogates, where these give one
    std::string unmeasurable;       ///< why there is no number; empty: there is one
    std::string instead;  ///< what it is instead, where the number must not count (a line is no helix)
    Json detail = Json::object();
    std::vector<Chart> charts;  ///< the first is the finding's figure
};

/// A finding while it is measured on one run. What it needs of single sites it takes from the one pass that
/// reads them; what it shares with others it asks of the Subject.
class Measurement {
  public:
    virtual ~Measurement() = default;
    /// Called once for each site of the pass, from several threads at once: keep to places of the site's own.
    virtual void site(SiteRows& rows) { (void)rows; }
    /// Called once for each layer whose attention and MLP outputs are both there, likewise.
    virtual void layer(LayerPair& pair) { (void)pair; }
    /// After the pass, in the order of the list.
    virtual Effect finish() = 0;
};

/// Effects so near to none that they do not matter: "absent" is said where the whole interval is that near.
struct Margin {
    double width = 0;              ///< 0: "absent" is never said
    double no_effect = kNoNumber;  ///< in the middle of it; kNoNumber: the null
    bool share = false;            ///< `width` is a share of `no_effect`
    bool ratio = false;            ///< from `no_effect` divided by `width` to as many times it
};

/// What a finding is not measured without: runs besides its own, a site that few models have, or labels that
/// few prompts have.
enum class Needs {
    nothing,
    router,      ///< a mixture's router, with vectors
    labels,      ///< tokens of two labels or more
    rope_off,    ///< one without rotation
    rope_doses,  ///< some at other speeds of rotation
    context      ///< one in which tokens read a short context
};

/// One of the claims: all that is said of it anywhere, and how it is measured.
struct FindingKind {
    const char* name;
    const char* effect_is;        ///< what the number means, with its unit
    const char* controls = "";    ///< names of its own controls, comma-separated
    bool smaller_counts = false;  ///< the effect must lie below the null instead of above it
    bool twin_counts = false;     ///< held against untrained twins
    Needs needs = Needs::nothing;
    std::unique_ptr<Measurement> (*measure)(Subject& subject) = nullptr;
    const FindingKind* shown_by = nullptr;  ///< whose figure shows it; null: its own
    Margin margin = {};                     ///< what does not matter
    bool needs_vectors = false;             ///< scores on a few axes do not do: it speaks of coordinates
};

/// What may be said of a claim (statistics/inference.h), or that there is no number to say it from.
enum class Verdict { holds, as_untrained, absent, undecided, not_measurable };
/// "holds", "holds, as in an untrained twin", "absent", "undecided", "not measurable".
const char* verdict_name(Verdict verdict);

/// An effect in untrained twins of one kind ("gaussian", "spectrum").
struct TwinEffects {
    std::string kind;
    std::vector<double> values;  ///< one a twin
};

/// One of the claims, as a number. A missing number is NaN.
struct Finding {
    std::string name;
    std::string effect_is;  ///< what the number means, with its unit
    double effect = kNoNumber;
    std::optional<Interval> interval;          ///< 95 %, over sequences
    double null = kNoNumber;                   ///< the strictest of `controls`
    bool smaller_counts = false;               ///< the effect must lie below the null instead of above it
    double p = kNoNumber;                      ///< chance of it where nothing is: see judge()
    double p_corrected = kNoNumber;            ///< by Holm, over the findings of the report
    std::vector<TwinEffects> twins;            ///< whether they count or not
    double no_effect = kNoNumber, margin = 0;  ///< within `margin` of `no_effect` nothing matters
    Verdict verdict = Verdict::not_measurable;
    std::string reason;  ///< of any verdict but "holds"
    std::string figure;  ///< that shows it, relative to the run or study; the caller's to set
    std::vector<Control> controls;
    Json detail = Json::object();
};

/// A finding before it is judged.
struct Case {
    const FindingKind* kind = nullptr;
    const Effect* effect = nullptr;
    std::vector<TwinEffects> twins;
    int n_groups = 0;  ///< of sequences, that the interval is over
};

/// Each finding's p is the larger of two: of its interval (Student's t with n_groups - 1 degrees of freedom,
/// one-sided, against the strictest control) and of its surrogates, where it has them. Holm's correction over
/// all of them follows: with 2.5 % asked for, the chance that any of a report's findings is said to hold
/// where none does is at most that, however they depend on each other.
std::vector<Finding> judge(const std::vector<Case>& all);
inline constexpr double kLevel = 0.025;

/// A number for JSON: null where there is none, six significant digits.
Json number(double value);
Json number(const std::optional<Interval>& interval);  ///< both ends; null where there is none
Json numbers(const std::vector<double>& values);

}  // namespace tomograph
