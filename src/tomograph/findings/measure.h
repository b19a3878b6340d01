#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/progress.h"
#include "tomograph/findings/finding.h"
#include "tomograph/store/run.h"

namespace tomograph {

struct MeasureOptions {
    /// Runs of the model's untrained twins (see randomize) on the same prompts or the first sequences of
    /// them: what every finding that architecture alone might show is held against. Of which kind each is
    /// stands in its run.json.
    std::vector<const Run*> twins;
    /// The same model and prompts captured with rotation switched off (`capture --rope-off`). Null: none.
    const Run* rope_off = nullptr;
    /// The same model and prompts captured at other speeds of rotation (`capture --rope-frequency`).
    std::vector<const Run*> rope_doses = {};
    /// The same model and prompts, each token of which read its last tokens only (`capture --context`). Null:
    /// none.
    const Run* context = nullptr;
    /// A run of the same model on positions alone (`capture --prompts positions`), whose learned table is
    /// longer than the text. Null: the table as far as the run goes.
    const Run* positions = nullptr;
    /// A run of the same model on one token repeated (`capture --prompts repeat`), whose positions are held
    /// against a learned table. Null: none.
    const Run* repeat = nullptr;
    /// A run of the same model on text with a start token inside each sequence (`capture --plant-start`): is
    /// it a sink there? Null: none.
    const Run* planted = nullptr;
    /// A run of the same model on ordinary text, which says what is ordinary: outliers are the tokens that it
    /// does not account for. Null: outliers are the most odd of the run's own tokens, of which there always
    /// are some.
    const Run* reference = nullptr;
    /// With a reference: how large a share of the outliers may be ordinary. Smaller finds fewer. Default
    /// 0.05.
    double fdr = 0.05;
    /// Only these findings, and no outliers or heads; p is corrected for their number. Empty: all.
    std::vector<std::string> only = {};
    /// Rows a site for what compares rows, drawn by seed; of twins kTwinRows at most. Default 4000.
    std::int64_t rows = 4000;
    /// Replicates of the bootstrap over sequences. Default 100.
    int bootstrap = 100;
    /// Share of the run's own tokens that lie above the outliers' threshold. Default 0.001.
    double false_alarm_rate = 0.001;
    std::uint64_t seed = 42;
    /// 0: all that the process may use. No number depends on it.
    int threads = 0;
};

/// Rows a site of a twin: what its numbers err by is small beside what twins differ by.
inline constexpr std::int64_t kTwinRows = 1500;

/// A token that stands out, at the site where it does so most.
struct Outlier {
    Site site;
    std::int64_t token = 0;  ///< index into Run::tokens()
    std::int32_t sequence = 0, position = 0;
    std::string piece;     ///< its bytes
    std::string context;   ///< bytes of its neighbourhood
    double score = 0;      ///< robust z; against a reference, mean surprise a site, in natural logarithms
    std::string by;        ///< "norm", "neighbors" or "mahalanobis"
    double p = kNoNumber;  ///< conformal, where there is a reference
};

/// How outliers were told from what a reference run holds.
struct OutlierTest {
    std::string reference;      ///< path
    double fdr = 0;             ///< false discovery rate that was asked for
    std::int64_t ordinary = 0;  ///< tokens of the reference that scores were held against
    std::int64_t tested = 0;    ///< tokens of the run
    std::int64_t found = 0;     ///< of them stand out; MeasureReport::outliers lists the most odd
    /// Fewest odd tokens that could be told from ordinary ones: the more, the shorter the reference is.
    std::int64_t fewest = 0;
};

struct MeasureReport {
    std::vector<Finding> findings;  ///< all, in order; with rope_off, rope_doses and context one more each
    std::vector<Outlier> outliers;  ///< above the threshold, most odd first
    std::vector<Outlier> first_tokens;        ///< first tokens against first tokens only, most odd first
    std::vector<float> outlier_scores;        ///< of every token, [n_tokens]; NaN: it was not scored
    std::optional<OutlierTest> outlier_test;  ///< with a reference; without, the threshold below says it
    double outlier_threshold = kNoNumber;
    double false_alarm_rate = 0;
    std::vector<Chart> charts;  ///< what stands behind the findings, to be drawn
    /// Every number behind the findings, one entry a file: measures/NAME.json.
    std::map<std::string, Json> tables;
    std::vector<std::string> notes;  ///< what could not be measured and why
    Json how;                        ///< rows, groups, seed, layers, level, correction, twins
};

/// The names of the findings that are always there, in order.
std::vector<std::string> finding_names();

/// Measure everything that the run allows. What it lacks makes findings `not measurable`, not an error.
/// Errors: Error when `only` names no finding, when a twin or another of the runs that the options name does not fit; Stopped.
MeasureReport measure_run(const Run& run, const MeasureOptions& options, Progress& progress = no_progress());

/// Measures what measure_run() takes of an untrained twin and keeps it in the twin's folder. From then on its
/// vectors can go (store/let_go.h): of a twin without any measure_run() takes what was kept, and notes where
/// other rows or another seed are asked for. Errors: Stopped.
void keep_twin_effects(const Run& twin, const MeasureOptions& options, Progress& progress);

/// measures/*.json, findings.csv, sites.csv, separation.csv and outliers.csv in the run's folder, and the outlier scores
/// as numbers of its tokens (token_numbers.h).
void save_measures(const Run& run, const MeasureReport& report);
/// Of these findings.json and findings.csv alone, once the findings know their figures.
void save_findings(const Run& run, const MeasureReport& report);
/// What save_measures() wrote, as far as the printers below need it. Errors: Error when there is none.
Json load_findings(const Run& run);

/// For a terminal: finding, effect, interval, null, corrected p, verdict and figure, one line each; then the
/// outliers.
std::string findings_table(const MeasureReport& report, std::size_t most_outliers = 10);
/// {"findings":[{"name","effect","interval","null","p","verdict","figure"}],"outliers":[...],
/// "first_tokens":[...]};
/// numbers that cannot be had are null; a "reason" follows where there is one.
Json findings_json(const MeasureReport& report);

/// Errors: Error for a name that `--fail-on` does not know: findings, "outliers", NAME:VERDICT with a verdict
/// of holds, as-untrained, absent, undecided or not-measurable; and for "outliers" without a reference, since
/// some token of a run is always its oddest.
void check_fail_on(const std::vector<std::string>& names, bool has_reference);
/// Those of `names` that are found: findings with that verdict ("holds" where none is named), and "outliers"
/// when there are any. Errors: as check_fail_on() of the report's own run.
std::vector<std::string> failing(const MeasureReport& report, const std::vector<std::string>& names);

}  // namespace tomograph
