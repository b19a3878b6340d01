// One pass over all sites: norms, concentration, dimension, outliers, and attention against MLP by layer.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <set>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/text.h"
#include "tomograph/base/threads.h"
#include "tomograph/measure/concentration.h"
#include "tomograph/measure/dimension.h"
#include "tomograph/measure/norms.h"
#include "tomograph/measure/outliers.h"
#include "tomograph/measure/parts.h"
#include "tomograph/reduce/finite.h"
#include "tomograph/reduce/moments.h"
#include "tomograph/reduce/neighbors.h"

namespace tomograph {
namespace {

constexpr int kMleNeighbors = 20;
constexpr std::int64_t kNeighborRows = 2000;  // for intrinsic dimension: its cost grows with their square
constexpr int kRotations = 5;
constexpr std::size_t kMostOutliers = 100;
constexpr int kContext = 8;  // tokens on either side

/// Highest score so far of each stored row, over sites.
struct BestScore {
    float score = -1;
    int site = -1;
    const char* by = "norm";
};
void keep_best(BestScore& best, double score, int site, const char* by) {
    const auto value = static_cast<float>(score);
    if (value > best.score || (value == best.score && site < best.site)) best = {value, site, by};
}

/// What the findings need of a headline layer's stream.
struct StreamNumbers {
    double anisotropy = kNoNumber, signs = kNoNumber;
    std::vector<double> anisotropy_replicates;
    double top_share = kNoNumber, rotated = kNoNumber;
    std::vector<double> top_share_replicates;
    double two_nn = kNoNumber, gaussian = kNoNumber;
    std::vector<double> two_nn_replicates;
};

/// All that is measured in one pass, shared by the jobs.
struct Pass {
    const Subject& subject;
    std::vector<Site> sites;
    std::vector<Json> rows;              // per site: its line in the table
    std::vector<StreamNumbers> stream;   // per site; filled at headline layers of the stream
    std::vector<PairNumbers> pairs;      // per layer with both
    std::vector<BestScore> best, best_first;  // per stored row
    std::vector<std::vector<double>> label_auroc;  // per site, by label
    std::mutex mutex;
    std::int64_t n_first = 0, n_rest = 0;

    bool headline(const Site& site) const {
        return subject.stream && site.component == *subject.stream && std::find(subject.layers.begin(), subject.layers.end(), site.layer) != subject.layers.end();
    }
};

/// Rows [n, d] split by whether their second neighbour is near the first.
struct NearTwo {
    std::vector<double> r1, r2;
    Matrix distances;
};
NearTwo nearest(const Matrix& rows) {
    NearTwo near;
    const auto k = static_cast<int>(std::min<Eigen::Index>(kMleNeighbors, rows.rows() - 1));
    if (k < 2) return near;
    near.distances = find_neighbors(MatrixRows(rows), k, {.search = NeighborOptions::Search::exact, .threads = 1}).distances;
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        near.r1.push_back(near.distances(i, 0));
        near.r2.push_back(near.distances(i, 1));
    }
    return near;
}

/// Every m-th row, so that at most `most` are left; in the same order.
Matrix thin_rows(const Matrix& rows, std::int64_t most, std::vector<std::int64_t>& kept) {
    kept = sample_indices(rows.rows(), most, 0x7417);
    Matrix thin(static_cast<Eigen::Index>(kept.size()), rows.cols());
    for (Eigen::Index i = 0; i < thin.rows(); ++i) thin.row(i) = rows.row(static_cast<Eigen::Index>(kept[static_cast<std::size_t>(i)]));
    return thin;
}

/// A Gaussian cloud with the spectrum of `pca`: in its own principal axes, which is all that distances need.
Matrix gaussian_like(const Pca& pca, std::int64_t n, std::uint64_t seed) {
    Rng rng(mix(seed, 0x6a55));
    Matrix cloud(n, pca.n_components());
    for (Eigen::Index i = 0; i < n; ++i) {
        for (Eigen::Index c = 0; c < cloud.cols(); ++c) cloud(i, c) = static_cast<float>(rng.normal() * std::sqrt(pca.explained_variance[c]));
    }
    return cloud;
}

/// Sums of squares by coordinate over all tokens: first positions in full, the sample standing for the rest.
MatrixD squares_by_group(const Pass& pass, const Matrix& sample, const Matrix& first) {
    const Sample& s = pass.subject.sample;
    const double weight = sample.rows() > 0 ? static_cast<double>(pass.n_rest) / static_cast<double>(sample.rows()) : 0;
    MatrixD squares = MatrixD::Zero(std::max(1, s.n_groups), sample.cols());
    for (Eigen::Index i = 0; i < sample.rows(); ++i) squares.row(s.group[static_cast<std::size_t>(i)]) += weight * sample.row(i).cast<double>().cwiseAbs2();
    const Run& run = pass.subject.run;
    for (Eigen::Index i = 0; i < first.rows(); ++i) {
        const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(s.first_rows[static_cast<std::size_t>(i)])]);
        const std::int32_t group = s.group_of_sequence[static_cast<std::size_t>(run.tokens().sequence[token])];
        if (group >= 0) squares.row(group) += first.row(i).cast<double>().cwiseAbs2();
    }
    return squares;
}

void measure_stream(Pass& pass, std::size_t at, const Matrix& rows, const Matrix& first, const MatrixD& squares, const Moments& moments, const Pca& pca, const NearTwo& near, const std::vector<std::int64_t>& near_rows) {
    const Subject& subject = pass.subject;
    const Sample& sample = subject.sample;
    StreamNumbers& numbers = pass.stream[at];
    const Anisotropy anisotropy(rows, sample.group, sample.n_groups);
    numbers.anisotropy = anisotropy.value();
    numbers.top_share = top_share(squares.colwise().sum().transpose());
    numbers.two_nn = two_nn(near.r1, near.r2);
    if (subject.effects_only) return;
    std::vector<double> signs, rotated;
    for (int i = 0; i < 20; ++i) signs.push_back(anisotropy.with_random_signs(mix(subject.options.seed, static_cast<std::uint64_t>(i))));
    numbers.signs = quantile(signs, 0.975);
    const double scale = static_cast<double>(pass.n_rest) / static_cast<double>(moments.count);
    MatrixD second = scale * moments.comoment + static_cast<double>(pass.n_rest) * moments.mean * moments.mean.transpose();
    const MatrixD f = first.cast<double>();
    second += f.transpose() * f;
    for (int i = 0; i < kRotations; ++i) rotated.push_back(rotated_top_share(second, mix(subject.options.seed, static_cast<std::uint64_t>(i))));
    numbers.rotated = *std::max_element(rotated.begin(), rotated.end());
    const Matrix cloud = gaussian_like(pca, static_cast<std::int64_t>(near.r1.size()), subject.options.seed);
    const NearTwo of_cloud = nearest(cloud);
    numbers.gaussian = two_nn(of_cloud.r1, of_cloud.r2);
    std::vector<double> row_weights(near.r1.size());
    for (int r = 0; r < subject.options.bootstrap; ++r) {
        const auto weights = bootstrap_weights(sample.n_groups, subject.options.seed, r);
        numbers.anisotropy_replicates.push_back(anisotropy.value(weights));
        numbers.top_share_replicates.push_back(top_share((Eigen::Map<const Eigen::RowVectorXd>(weights.data(), sample.n_groups) * squares).transpose()));
        for (std::size_t i = 0; i < row_weights.size(); ++i) row_weights[i] = weights[static_cast<std::size_t>(sample.group[static_cast<std::size_t>(near_rows[i])])];
        numbers.two_nn_replicates.push_back(two_nn(near.r1, near.r2, row_weights));
    }
}

/// Scores of all stored rows at one site; first positions against each other only.
void score_outliers(Pass& pass, std::size_t at, const Matrix& rows, const Pca& pca) {
    const Run& run = pass.subject.run;
    const SiteScores scores = score_site(run, pass.sites[at], rows, pca, {.seed = pass.subject.options.seed});
    std::vector<double> by_label;
    for (std::size_t label = 0; label < run.labels().size(); ++label) by_label.push_back(label_auroc(run, scores, label));
    const std::lock_guard lock(pass.mutex);
    for (std::size_t i = 0; i < scores.rows.size(); ++i) keep_best(pass.best[static_cast<std::size_t>(scores.rows[i])], scores.scored[i].score, static_cast<int>(at), scores.scored[i].by);
    for (std::size_t i = 0; i < scores.first_rows.size(); ++i) keep_best(pass.best_first[static_cast<std::size_t>(scores.first_rows[i])], scores.first_scores[i], static_cast<int>(at), "norm");
    pass.label_auroc[at] = std::move(by_label);
}

/// How well the scores find each label's tokens: by all sites together, and by the site that sees them best.
Json found_labels(const Pass& pass) {
    const Run& run = pass.subject.run;
    SiteScores together;
    for (std::size_t row = 0; row < pass.best.size(); ++row) {
        if (pass.best[row].site < 0) continue;
        together.rows.push_back(static_cast<std::int64_t>(row));
        together.scored.push_back({pass.best[row].score, pass.best[row].by});
    }
    Json list = Json::array();
    for (std::size_t label = 0; label < run.labels().size(); ++label) {
        std::size_t best = 0;
        double value = -1;
        for (std::size_t at = 0; at < pass.sites.size(); ++at) {
            if (pass.label_auroc[at].empty() || !(pass.label_auroc[at][label] > value)) continue;
            value = pass.label_auroc[at][label];
            best = at;
        }
        if (value < 0) continue;
        list.push_back({{"label", run.labels()[label]}, {"auroc", number(label_auroc(run, together, label))}, {"best_site", pass.sites[best].name()}, {"best_auroc", number(value)}});
    }
    return list;
}

struct SiteData {
    Matrix rows;
    Pca pca;
};

SiteData measure_site(Pass& pass, std::size_t at, bool keep_rows) {
    const Subject& subject = pass.subject;
    const Run& run = subject.run;
    const Site& site = pass.sites[at];
    SiteData data{read_sample(run, site, subject.sample.rows), {}};
    const Matrix& rows = data.rows;
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        if (rows.row(i).allFinite()) continue;
        const std::int32_t token = run.rows()[static_cast<std::size_t>(subject.sample.rows[static_cast<std::size_t>(i)])];
        throw Error(site.name() + " holds NaN or Inf", "at token " + std::to_string(token), "capture it again with --dtype f32");
    }
    Json& line = pass.rows[at];
    line = {{"site", site.name()}, {"rows", rows.rows()}};
    if (rows.rows() < 3) return data;
    const Moments moments = compute_moments(MatrixRows(rows), {1});
    data.pca = fit_pca(moments, {.n_components = 0});
    const bool constant = !(data.pca.total_variance > 1e-12 * (moments.mean.squaredNorm() + data.pca.total_variance));
    const bool headline = pass.headline(site);
    if (subject.effects_only && !headline) return data;

    const Matrix first = read_sample(run, site, subject.sample.first_rows);
    const MatrixD squares = squares_by_group(pass, rows, first);
    std::vector<std::int64_t> near_rows;
    NearTwo near;
    if (!constant) near = nearest(thin_rows(rows, kNeighborRows, near_rows));
    if (headline && !constant) measure_stream(pass, at, rows, first, squares, moments, data.pca, near, near_rows);
    if (subject.effects_only) return data;

    const MassiveCoordinates massive = massive_coordinates(squares.colwise().sum().transpose());
    const VectorD rest_squares = moments.comoment.diagonal() + static_cast<double>(moments.count) * moments.mean.cwiseAbs2();
    const std::vector<std::int32_t> one_group(static_cast<std::size_t>(rows.rows()), 0);
    line["constant"] = constant;
    line["anisotropy"] = number(Anisotropy(rows, one_group, 1).value());
    line["anisotropy_centred"] = number(constant ? kNoNumber : centred_mean_cosine(rows));
    line["massive_coordinates"] = massive.coordinates;
    line["massive_shares"] = numbers(massive.shares);
    line["top_share"] = number(massive.top_share);
    line["top_share_without_first"] = number(top_share(rest_squares));
    line["coordinates_for_half"] = massive.most;
    line["participation_ratio"] = number(constant ? kNoNumber : participation_ratio(data.pca.explained_variance));
    line["effective_rank"] = number(constant ? kNoNumber : effective_rank(data.pca.explained_variance));
    line["two_nn"] = number(two_nn(near.r1, near.r2));
    line["mle_dimension"] = number(mle_dimension(near.distances));
    line["neighbor_rows"] = near.r1.size();
    line["spectrum"] = Json::array();
    for (Eigen::Index i = 0; i < std::min<Eigen::Index>(32, data.pca.n_components()); ++i) line["spectrum"].push_back(number(data.pca.explained_variance_ratio[i]));
    if (!constant) score_outliers(pass, at, rows, data.pca);
    if (!keep_rows) data.rows.resize(0, 0);
    return data;
}

/// The stats files' numbers by site: norms by position, first-token ratio, share explained by position.
void add_exact_numbers(const Subject& subject, Pass& pass, PartResult& result) {
    const Run& run = subject.run;
    if (!run.has_stats()) return;
    std::map<std::string, std::size_t> line_of;
    for (std::size_t i = 0; i < pass.sites.size(); ++i) line_of[pass.sites[i].name()] = i;
    Json& norms = result.tables["norms"] = Json::array();
    const auto length = static_cast<std::size_t>(run.length());
    const bool excluded_label = run.json().contains("means_without_label");
    for (const SiteShape& shape : run.sites()) {
        const auto values = run.norms(shape.site);
        std::vector<double> sums(length, 0.0), counts(length, 0.0), rest, squares(length, 0.0);
        for (std::size_t t = 0; t < values.size(); ++t) {
            const auto p = static_cast<std::size_t>(run.tokens().position[t]);
            sums[p] += values[t];
            squares[p] += static_cast<double>(values[t]) * values[t];
            counts[p] += 1;
            if (p > 0) rest.push_back(values[t]);
        }
        std::vector<double> by_position;
        for (std::size_t p = 0; p < length; ++p) by_position.push_back(counts[p] > 0 ? sums[p] / counts[p] : kNoNumber);
        const double middle = median(rest), first_ratio = middle > 0 ? by_position[0] / middle : kNoNumber;
        norms.push_back({{"site", shape.site.name()}, {"median_after_first", number(middle)}, {"first", number(by_position[0])}, {"first_ratio", number(first_ratio)}, {"by_position", numbers(by_position)}});
        const auto line = line_of.find(shape.site.name());
        if (line == line_of.end()) continue;
        pass.rows[line->second]["norm_median"] = number(middle);
        pass.rows[line->second]["first_token_ratio"] = number(first_ratio);
        if (excluded_label) continue;
        const Matrix means = run.means(shape.site);
        double between = 0, total = 0, n = 0;
        Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(means.cols());
        for (std::size_t p = 1; p < length; ++p) {
            const Eigen::RowVectorXd mean = means.row(static_cast<Eigen::Index>(p)).cast<double>();
            between += counts[p] * mean.squaredNorm();
            sum += counts[p] * mean;
            total += squares[p];
            n += counts[p];
        }
        if (n < 2) continue;
        const double offset = sum.squaredNorm() / n;
        pass.rows[line->second]["position_eta2"] = number(total - offset > 1e-9 * total ? (between - offset) / (total - offset) : kNoNumber);
    }
}

std::string context_of(const Run& run, std::size_t token) {
    std::string text;
    const auto& pieces = run.pieces();
    const auto n = static_cast<std::ptrdiff_t>(pieces.size()), at = static_cast<std::ptrdiff_t>(token);
    for (std::ptrdiff_t i = std::max<std::ptrdiff_t>(0, at - kContext); i < std::min(n, at + kContext + 1); ++i) {
        if (run.tokens().sequence[static_cast<std::size_t>(i)] != run.tokens().sequence[token]) continue;
        text += i == at ? "[" + pieces[static_cast<std::size_t>(i)] + "]" : pieces[static_cast<std::size_t>(i)];
    }
    return text;
}

std::vector<Outlier> ranked(const Pass& pass, const std::vector<BestScore>& best, double threshold, std::size_t most) {
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < best.size(); ++row) {
        if (best[row].site >= 0 && best[row].score > threshold) rows.push_back(row);
    }
    std::stable_sort(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) { return best[a].score > best[b].score; });
    if (rows.size() > most) rows.resize(most);
    const Run& run = pass.subject.run;
    std::vector<Outlier> outliers;
    for (const std::size_t row : rows) {
        const auto token = static_cast<std::size_t>(run.rows()[row]);
        outliers.push_back({pass.sites[static_cast<std::size_t>(best[row].site)], static_cast<std::int64_t>(token), run.tokens().sequence[token], run.tokens().position[token], run.pieces()[token], context_of(run, token), best[row].score, best[row].by});
    }
    return outliers;
}

Effect mean_effect(const Pass& pass, double StreamNumbers::*value, std::vector<double> StreamNumbers::*replicates, const char* control, double StreamNumbers::*null) {
    const Subject& subject = pass.subject;
    Effect effect;
    if (effect.unmeasurable = subject.lacks_stream(); !effect.unmeasurable.empty()) return effect;
    std::vector<double> values, nulls, means;
    std::vector<int> layers;
    for (std::size_t i = 0; i < pass.sites.size(); ++i) {
        if (!pass.headline(pass.sites[i]) || std::isnan(pass.stream[i].*value)) continue;
        layers.push_back(pass.sites[i].layer);
        values.push_back(pass.stream[i].*value);
        nulls.push_back(pass.stream[i].*null);
        const auto& own = pass.stream[i].*replicates;
        if (means.empty()) means.assign(own.size(), 0.0);
        for (std::size_t r = 0; r < own.size(); ++r) means[r] += own[r];
    }
    if (values.empty()) {
        effect.unmeasurable = "the rows of the middle layers are too few, or all equal";
        return effect;
    }
    for (double& mean : means) mean /= static_cast<double>(values.size());
    effect.value = mean_of(values);
    effect.detail["layers"] = layers;
    effect.detail["by_layer"] = numbers(values);
    if (subject.effects_only) return effect;
    effect.controls.push_back({control, mean_of(nulls)});
    if (subject.sample.n_groups >= kFewestGroups) effect.interval = Interval{quantile(means, 0.025), quantile(means, 0.975)};
    return effect;
}

/// In which layers each massive coordinate of the stream is there.
Json births(const Pass& pass) {
    std::map<int, std::vector<int>> layers;
    for (std::size_t i = 0; i < pass.sites.size(); ++i) {
        if (!pass.subject.stream || pass.sites[i].component != *pass.subject.stream || !pass.rows[i].contains("massive_coordinates")) continue;
        for (const Json& coordinate : pass.rows[i]["massive_coordinates"]) layers[coordinate.get<int>()].push_back(pass.sites[i].layer);
    }
    Json list = Json::array();
    for (const auto& [coordinate, where] : layers) list.push_back({{"coordinate", coordinate}, {"born", where.front()}, {"last", where.back()}, {"layers", where.size()}});
    return list;
}

}  // namespace

SitesResult measure_sites(const Subject& subject, Progress& progress) {
    SitesResult result;
    Pass pass{subject, vector_sites(subject.run), {}, {}, {}, {}, {}, {}, {}, 0, 0};
    const Run& run = subject.run;
    if (subject.effects_only) {
        std::erase_if(pass.sites, [&](const Site& site) { return site.component != Component::attn_out && site.component != Component::mlp_out && !pass.headline(site); });
    }
    pass.rows.resize(pass.sites.size());
    pass.stream.resize(pass.sites.size());
    pass.label_auroc.resize(pass.sites.size());
    pass.best.resize(static_cast<std::size_t>(run.n_rows()));
    pass.best_first.resize(static_cast<std::size_t>(run.n_rows()));
    pass.n_first = static_cast<std::int64_t>(subject.sample.first_rows.size());
    pass.n_rest = subject.sample.n_candidates;

    std::map<int, std::vector<std::size_t>> jobs;  // by layer; sites outside blocks are one job
    for (std::size_t i = 0; i < pass.sites.size(); ++i) jobs[pass.sites[i].layer].push_back(i);
    std::vector<std::vector<std::size_t>> list;
    for (auto& [layer, sites] : jobs) list.push_back(std::move(sites));
    std::vector<std::optional<PairNumbers>> pairs(list.size());
    std::atomic<std::int64_t> done{0};
    progress.begin("measuring " + run.model_name(), static_cast<std::int64_t>(pass.sites.size()), "sites");
    parallel_for(subject.sample.rows.empty() ? 0 : static_cast<std::int64_t>(list.size()), subject.threads, [&](std::int64_t job) {
        std::optional<SiteData> attention, mlp;
        for (const std::size_t at : list[static_cast<std::size_t>(job)]) {
            if (progress.stop_requested()) throw Stopped("no measure was written");
            const Component component = pass.sites[at].component;
            const bool paired = component == Component::attn_out || component == Component::mlp_out;
            SiteData data = measure_site(pass, at, paired);
            run.release();
            if (component == Component::attn_out) attention = std::move(data);
            if (component == Component::mlp_out) mlp = std::move(data);
            progress.update(++done);
        }
        if (!attention || !mlp) return;
        const int layer = pass.sites[list[static_cast<std::size_t>(job)].front()].layer;
        const bool headline = std::find(subject.layers.begin(), subject.layers.end(), layer) != subject.layers.end();
        pairs[static_cast<std::size_t>(job)] = measure_pair(subject, {layer, attention->rows, mlp->rows, attention->pca, mlp->pca}, headline);
    });
    progress.end();
    for (auto& pair : pairs) {
        if (pair) pass.pairs.push_back(std::move(*pair));
    }
    judge_pairs(subject, pass.pairs, result);
    result.effects["first_token_norm"] = measure_first_token(subject);
    result.effects["massive_coordinates"] = mean_effect(pass, &StreamNumbers::top_share, &StreamNumbers::top_share_replicates, "rotated basis", &StreamNumbers::rotated);
    result.effects["anisotropy"] = mean_effect(pass, &StreamNumbers::anisotropy, &StreamNumbers::anisotropy_replicates, "random signs", &StreamNumbers::signs);
    result.effects["intrinsic_dimension"] = mean_effect(pass, &StreamNumbers::two_nn, &StreamNumbers::two_nn_replicates, "Gaussian of equal covariance", &StreamNumbers::gaussian);
    if (subject.effects_only) return result;
    result.effects["massive_coordinates"].detail["coordinates"] = births(pass);
    add_exact_numbers(subject, pass, result);
    result.tables["sites"] = pass.rows;

    std::vector<double> scores;
    for (const BestScore& best : pass.best) {
        if (best.site >= 0) scores.push_back(best.score);
    }
    if (!scores.empty()) {
        result.outlier_threshold = quantile(scores, 1 - subject.options.false_alarm_rate);
        result.outliers = ranked(pass, pass.best, result.outlier_threshold, kMostOutliers);
    }
    if (!run.labels().empty()) result.tables["found_labels"] = found_labels(pass);
    result.first_tokens = ranked(pass, pass.best_first, 0, 10);
    return result;
}

Effect measure_first_token(const Subject& subject) {
    Effect effect;
    const Run& run = subject.run;
    if (run.length() < 2) {
        effect.unmeasurable = "every sequence is one token long";
        return effect;
    }
    std::optional<Component> component;
    for (const Component candidate : {Component::resid_post, Component::resid_mid, Component::resid_pre}) {
        if (!component && std::any_of(run.sites().begin(), run.sites().end(), [&](const SiteShape& s) { return s.site.component == candidate; })) component = candidate;
    }
    if (!component || !run.has_stats()) {
        effect.unmeasurable = "no norms of the residual stream; capture with --components resid_post";
        return effect;
    }
    const auto best = first_token_ratio(run, *component);
    if (!best) {
        effect.unmeasurable = "no token stands at the first position";
        return effect;
    }
    effect.value = best->ratio;
    effect.detail = {{"site", best->site.name()}, {"by_layer", Json::array()}};
    for (const auto& ratio : first_token_ratios(run, *component)) effect.detail["by_layer"].push_back(number(ratio.ratio));
    if (subject.effects_only) return effect;

    const auto norms = run.norms(best->site);
    const TokenTable& tokens = run.tokens();
    std::int32_t n_sequences = 0;
    for (const std::int32_t s : tokens.sequence) n_sequences = std::max(n_sequences, s + 1);
    const int n_groups = std::min(n_sequences, kMostGroups);
    struct Rest {
        double norm;
        int group;
    };
    std::vector<Rest> rest;
    std::vector<double> first(static_cast<std::size_t>(n_groups), 0.0), n_first = first;
    std::vector<double> sums(static_cast<std::size_t>(run.length()), 0.0), counts = sums;
    for (std::size_t t = 0; t < norms.size(); ++t) {
        const int group = static_cast<int>(static_cast<std::int64_t>(tokens.sequence[t]) * n_groups / n_sequences);
        sums[static_cast<std::size_t>(tokens.position[t])] += norms[t];
        counts[static_cast<std::size_t>(tokens.position[t])] += 1;
        if (tokens.position[t] > 0) {
            rest.push_back({norms[t], group});
        } else {
            first[static_cast<std::size_t>(group)] += norms[t];
            n_first[static_cast<std::size_t>(group)] += 1;
        }
    }
    std::sort(rest.begin(), rest.end(), [](const Rest& a, const Rest& b) { return a.norm < b.norm; });
    effect.interval = bootstrap(n_groups, subject.bootstrap(), [&](std::span<const double> w) {
        double sum = 0, n = 0, total = 0, below = 0;
        for (std::size_t g = 0; g < first.size(); ++g) {
            sum += w[g] * first[g];
            n += w[g] * n_first[g];
        }
        for (const Rest& row : rest) total += w[static_cast<std::size_t>(row.group)];
        for (const Rest& row : rest) {
            below += w[static_cast<std::size_t>(row.group)];
            if (2 * below >= total) return n > 0 && row.norm > 0 ? sum / n / row.norm : kNoNumber;
        }
        return kNoNumber;
    });
    std::vector<double> others;
    for (std::size_t p = 1; p < sums.size(); ++p) {
        if (counts[p] > 0 && best->median > 0) others.push_back(sums[p] / counts[p] / best->median);
    }
    effect.controls.push_back({"other positions", quantile(others, 0.975)});
    return effect;
}

}  // namespace tomograph
