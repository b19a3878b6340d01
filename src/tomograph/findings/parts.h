#pragma once
// The parts of measure_run(): one function a file, each for one run. For use inside measure/ only.
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/findings/measure.h"
#include "tomograph/findings/sample.h"
#include "tomograph/linear/pca.h"

namespace tomograph {

/// What one run shows of one claim, before it is judged.
struct Effect {
    double value = kNoNumber;
    std::optional<Interval> interval;
    std::vector<Control> controls;  ///< the run's own; the twin's is added by measure_run()
    std::string unmeasurable;       ///< why there is no number; empty: there is one
    std::string absent;             ///< set where the number alone must not count (a line is no helix)
    Json detail = Json::object();
};

/// A run with what all parts share.
struct Subject {
    const Run& run;
    const MeasureOptions& options;
    Sample sample;
    std::vector<int> layers;  ///< headline layers
    int threads = 1;
    bool effects_only = false;        ///< a twin: effects, no intervals, tables or controls
    std::optional<Component> stream;  ///< resid_post, or the nearest to it that has vectors

    Subject(const Run& run, const MeasureOptions& options, bool effects_only);
    BootstrapOptions bootstrap() const { return {options.bootstrap, options.seed, threads}; }
    /// The headline layers at which a component has vectors.
    std::vector<int> layers_with(Component component) const;
    /// Why nothing that needs this component can be measured, with the flag that captures it; empty: it can.
    std::string lacks(Component component) const;
    std::string lacks_stream() const;
    std::string lacks_rows() const;
};

/// Effects by finding, and tables for measures/.
struct PartResult {
    std::map<std::string, Effect> effects;
    std::map<std::string, Json> tables;
    std::vector<std::string> notes;
};

/// Attention and MLP outputs of one layer, sampled rows with their PCA.
struct LayerPair {
    int layer = 0;
    const Matrix& attention;
    const Matrix& mlp;
    const Pca& attention_pca;
    const Pca& mlp_pca;
};

/// What one layer says of attention against MLP.
struct PairNumbers {
    int layer = 0;
    double silhouette = kNoNumber, davies_bouldin = kNoNumber, calinski_harabasz = kNoNumber,
           probe = kNoNumber;
    double shuffled_silhouette = kNoNumber;  ///< 97.5 % of shuffled labels
    double shuffled_probe = kNoNumber;
    std::vector<double> silhouette_replicates, probe_replicates;
    std::int64_t k_attention = 0, k_mlp = 0;
    double mean_angle = kNoNumber, least_angle = kNoNumber, overlap = kNoNumber, random_overlap = kNoNumber,
           random_angle = kNoNumber;  ///< degrees
    double shuffled_angle = kNoNumber;
    std::vector<double> angle_replicates;
};
PairNumbers measure_pair(const Subject& subject, const LayerPair& pair, bool headline);
/// attn_mlp_separation, attn_mlp_angles, separation_onset from all layers.
void judge_pairs(const Subject& subject, const std::vector<PairNumbers>& pairs, PartResult& result);

/// Highest score of each stored row over the sites that were scored so far. score() may run on several
/// threads; the result does not depend on their order.
class OutlierBoard {
  public:
    /// Both must outlive it.
    OutlierBoard(const Run& run, const std::vector<Site>& sites);
    /// Score all stored rows at sites[at] by what `sample` says is ordinary.
    void score(std::size_t at, const Matrix& sample, const Pca& pca, std::uint64_t seed);

    double threshold(double false_alarm_rate) const;
    std::vector<Outlier> outliers(double threshold) const;
    std::vector<Outlier> first_tokens() const;
    /// How well the scores find each label's tokens: by all sites, and by the site that sees them best.
    Json found_labels() const;

  private:
    struct Best {
        float score = -1;
        int site = -1;
        const char* by = "norm";
    };
    static void keep_best(Best& best, double score, int site, const char* by);
    std::vector<Outlier> ranked(const std::vector<Best>& best, double threshold, std::size_t most) const;

    const Run& run_;
    const std::vector<Site>& sites_;
    std::vector<Best> best_, best_first_;           // per stored row
    std::vector<std::vector<double>> label_auroc_;  // per site, by label
    std::mutex mutex_;
};

/// Per site: norms, concentration, dimension, separation, outliers. first_token_norm, massive_coordinates,
/// anisotropy, intrinsic_dimension and the three of judge_pairs().
struct SitesResult : PartResult {
    std::vector<Outlier> outliers, first_tokens;
    double outlier_threshold = kNoNumber;
};
SitesResult measure_sites(const Subject& subject, Progress& progress);
Effect measure_first_token(const Subject& subject);
/// Table `norms`, and each site's norms and share explained by position in its line.
void add_norms(const Subject& subject, const std::vector<Site>& sites, std::vector<Json>& lines,
               PartResult& result);

/// position_share, position_helix, position_lattice.
struct PositionsResult : PartResult {
    double shared = kNoNumber;  ///< bias-free share, mean over headline layers
    std::vector<double> shared_replicates;
};
PositionsResult measure_positions(const Subject& subject, Progress& progress);

/// layer_paths, layer_cka.
PartResult measure_paths(const Subject& subject, Progress& progress);

/// Per head: norm, dimension and CKA with the MLP's output, where `z` was captured.
void measure_heads(const Subject& subject, PartResult& result);

/// A number for JSON: null where there is none, six significant digits.
Json number(double value);
Json numbers(const std::vector<double>& values);
double mean_of(const std::vector<double>& values);

}  // namespace tomograph
