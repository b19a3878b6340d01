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
    std::string unmeasurable;       ///< why there is no number; empty: there is one
    std::string absent;             ///< set where the number alone must not count (a line is no helix)
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

/// One of the claims: all that is said of it anywhere, and how it is measured.
struct FindingKind {
    const char* name;
    const char* effect_is;        ///< what the number means, with its unit
    const char* controls = "";    ///< names of its own controls, comma-separated
    bool smaller_counts = false;  ///< the effect must lie below the null instead of above it
    bool twin_counts = false;     ///< the random-weight twin is one more control
    bool needs_rope_off = false;  ///< measured only where a run without rotation was given
    std::unique_ptr<Measurement> (*measure)(Subject& subject) = nullptr;
    const FindingKind* shown_by = nullptr;  ///< whose figure shows it; null: its own
};

enum class Verdict { holds, absent, not_measurable };
/// "holds", "absent", "not measurable".
const char* verdict_name(Verdict verdict);

/// One of the claims, as a number. A missing number is NaN.
struct Finding {
    std::string name;
    std::string effect_is;  ///< what the number means, with its unit
    double effect = kNoNumber;
    std::optional<Interval> interval;  ///< 95 %, bootstrap over sequences
    double null = kNoNumber;           ///< the strictest of `controls`
    bool smaller_counts = false;       ///< the effect must lie below the null instead of above it
    Verdict verdict = Verdict::not_measurable;
    std::string reason;  ///< why it is absent or not measurable
    std::string figure;  ///< that shows it, relative to the run or study; the caller's to set
    std::vector<Control> controls;
    Json detail = Json::object();
};

/// `twin` may be null: no twin, or one that does not show it.
Finding judge(const FindingKind& kind, const Effect& effect, const Effect* twin);

/// A number for JSON: null where there is none, six significant digits.
Json number(double value);
Json numbers(const std::vector<double>& values);

}  // namespace tomograph
