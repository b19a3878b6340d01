// One pass over all sites: norms, concentration, dimension, outliers, and attention against MLP by layer.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <optional>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/parts.h"
#include "tomograph/linear/moments.h"
#include "tomograph/neighbors/neighbors.h"
#include "tomograph/statistics/concentration.h"
#include "tomograph/statistics/dimension.h"

namespace tomograph {
namespace {

constexpr int kMleNeighbors = 20;
constexpr std::int64_t kNeighborRows = 2000;  // for intrinsic dimension: its cost grows with their square
constexpr int kRotations = 5;

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
    std::vector<Json> rows;             // per site: its line in the table
    std::vector<StreamNumbers> stream;  // per site; filled at headline layers of the stream
    std::vector<PairNumbers> pairs;     // per layer with both
    std::optional<OutlierBoard> outliers;
    std::int64_t n_first = 0, n_rest = 0;

    bool headline(const Site& site) const {
        return subject.stream && site.component == *subject.stream &&
               std::find(subject.layers.begin(), subject.layers.end(), site.layer) != subject.layers.end();
    }
};

/// Distances to the nearest neighbours of each row, and apart those to the first two.
struct NearTwo {
    std::vector<double> r1, r2;
    Matrix distances;
};
NearTwo nearest(const Matrix& rows) {
    NearTwo near;
    const auto k = static_cast<int>(std::min<Eigen::Index>(kMleNeighbors, rows.rows() - 1));
    if (k < 2) return near;
    near.distances =
        find_neighbors(MatrixRows(rows), k, {.search = NeighborOptions::Search::exact, .threads = 1})
            .distances;
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        near.r1.push_back(near.distances(i, 0));
        near.r2.push_back(near.distances(i, 1));
    }
    return near;
}

/// At most `most` of the rows, drawn by seed, in the same order; `kept` says which.
Matrix thin_rows(const Matrix& rows, std::int64_t most, std::vector<std::int64_t>& kept) {
    kept = sample_indices(rows.rows(), most, 0x7417);
    Matrix thin(static_cast<Eigen::Index>(kept.size()), rows.cols());
    for (Eigen::Index i = 0; i < thin.rows(); ++i)
        thin.row(i) = rows.row(static_cast<Eigen::Index>(kept[static_cast<std::size_t>(i)]));
    return thin;
}

/// A Gaussian cloud with the spectrum of `pca`: in its own principal axes, which is all that distances need.
Matrix gaussian_like(const Pca& pca, std::int64_t n, std::uint64_t seed) {
    Rng rng(mix(seed, 0x6a55));
    Matrix cloud(n, pca.n_components());
    for (Eigen::Index i = 0; i < n; ++i) {
        for (Eigen::Index c = 0; c < cloud.cols(); ++c)
            cloud(i, c) = static_cast<float>(rng.normal() * std::sqrt(pca.explained_variance[c]));
    }
    return cloud;
}

/// Sums of squares by coordinate over all tokens: first positions in full, the sample standing for the rest.
MatrixD squares_by_group(const Pass& pass, const Matrix& sample, const Matrix& first) {
    const Sample& s = pass.subject.sample;
    const double weight =
        sample.rows() > 0 ? static_cast<double>(pass.n_rest) / static_cast<double>(sample.rows()) : 0;
    MatrixD squares = MatrixD::Zero(std::max(1, s.n_groups), sample.cols());
    for (Eigen::Index i = 0; i < sample.rows(); ++i)
        squares.row(s.group[static_cast<std::size_t>(i)]) +=
            weight * sample.row(i).cast<double>().cwiseAbs2();
    const Run& run = pass.subject.run;
    for (Eigen::Index i = 0; i < first.rows(); ++i) {
        const auto token = static_cast<std::size_t>(
            run.rows()[static_cast<std::size_t>(s.first_rows[static_cast<std::size_t>(i)])]);
        const std::int32_t group =
            s.group_of_sequence[static_cast<std::size_t>(run.tokens().sequence[token])];
        if (group >= 0) squares.row(group) += first.row(i).cast<double>().cwiseAbs2();
    }
    return squares;
}

void measure_stream(Pass& pass, std::size_t at, const Matrix& rows, const Matrix& first,
                    const MatrixD& squares, const Moments& moments, const Pca& pca, const NearTwo& near,
                    const std::vector<std::int64_t>& near_rows) {
    const Subject& subject = pass.subject;
    const Sample& sample = subject.sample;
    StreamNumbers& numbers = pass.stream[at];
    const Anisotropy anisotropy(rows, sample.group, sample.n_groups);
    numbers.anisotropy = anisotropy.value();
    numbers.top_share = top_share(squares.colwise().sum().transpose());
    numbers.two_nn = two_nn(near.r1, near.r2);
    if (subject.effects_only) return;
    std::vector<double> signs, rotated;
    for (int i = 0; i < 20; ++i)
        signs.push_back(
            anisotropy.with_random_signs(mix(subject.options.seed, static_cast<std::uint64_t>(i))));
    numbers.signs = quantile(signs, 0.975);
    const double scale = static_cast<double>(pass.n_rest) / static_cast<double>(moments.count);
    MatrixD second =
        scale * moments.comoment + static_cast<double>(pass.n_rest) * moments.mean * moments.mean.transpose();
    const MatrixD f = first.cast<double>();
    second += f.transpose() * f;
    for (int i = 0; i < kRotations; ++i)
        rotated.push_back(
            rotated_top_share(second, mix(subject.options.seed, static_cast<std::uint64_t>(i))));
    numbers.rotated = *std::max_element(rotated.begin(), rotated.end());
    const Matrix cloud = gaussian_like(pca, static_cast<std::int64_t>(near.r1.size()), subject.options.seed);
    const NearTwo of_cloud = nearest(cloud);
    numbers.gaussian = two_nn(of_cloud.r1, of_cloud.r2);
    std::vector<double> row_weights(near.r1.size());
    for (int r = 0; r < subject.options.bootstrap; ++r) {
        const auto weights = bootstrap_weights(sample.n_groups, subject.options.seed, r);
        numbers.anisotropy_replicates.push_back(anisotropy.value(weights));
        numbers.top_share_replicates.push_back(top_share(
            (Eigen::Map<const Eigen::RowVectorXd>(weights.data(), sample.n_groups) * squares).transpose()));
        for (std::size_t i = 0; i < row_weights.size(); ++i)
            row_weights[i] =
                weights[static_cast<std::size_t>(sample.group[static_cast<std::size_t>(near_rows[i])])];
        numbers.two_nn_replicates.push_back(two_nn(near.r1, near.r2, row_weights));
    }
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
        const std::int32_t token =
            run.rows()[static_cast<std::size_t>(subject.sample.rows[static_cast<std::size_t>(i)])];
        throw Error(site.name() + " holds NaN or Inf", "at token " + std::to_string(token),
                    "capture it again with --dtype f32");
    }
    Json& line = pass.rows[at];
    line = {{"site", site.name()}, {"rows", rows.rows()}};
    if (rows.rows() < 3) return data;
    const Moments moments = compute_moments(MatrixRows(rows), {1});
    data.pca = fit_pca(moments, {.n_components = 0});
    const bool constant =
        !(data.pca.total_variance > 1e-12 * (moments.mean.squaredNorm() + data.pca.total_variance));
    const bool headline = pass.headline(site);
    if (subject.effects_only && !headline) return data;

    const Matrix first = read_sample(run, site, subject.sample.first_rows);
    const MatrixD squares = squares_by_group(pass, rows, first);
    std::vector<std::int64_t> near_rows;
    NearTwo near;
    if (!constant) near = nearest(thin_rows(rows, kNeighborRows, near_rows));
    if (headline && !constant)
        measure_stream(pass, at, rows, first, squares, moments, data.pca, near, near_rows);
    if (subject.effects_only) return data;

    const MassiveCoordinates massive = massive_coordinates(squares.colwise().sum().transpose());
    const VectorD rest_squares =
        moments.comoment.diagonal() + static_cast<double>(moments.count) * moments.mean.cwiseAbs2();
    const std::vector<std::int32_t> one_group(static_cast<std::size_t>(rows.rows()), 0);
    line["constant"] = constant;
    line["anisotropy"] = number(Anisotropy(rows, one_group, 1).value());
    line["anisotropy_centred"] = number(constant ? kNoNumber : centred_mean_cosine(rows));
    line["massive_coordinates"] = massive.coordinates;
    line["massive_shares"] = numbers(massive.shares);
    line["top_share"] = number(massive.top_share);
    line["top_share_without_first"] = number(top_share(rest_squares));
    line["coordinates_for_half"] = massive.most;
    line["participation_ratio"] =
        number(constant ? kNoNumber : participation_ratio(data.pca.explained_variance));
    line["effective_rank"] = number(constant ? kNoNumber : effective_rank(data.pca.explained_variance));
    line["two_nn"] = number(two_nn(near.r1, near.r2));
    line["mle_dimension"] = number(mle_dimension(near.distances));
    line["neighbor_rows"] = near.r1.size();
    line["spectrum"] = Json::array();
    for (Eigen::Index i = 0; i < std::min<Eigen::Index>(32, data.pca.n_components()); ++i)
        line["spectrum"].push_back(number(data.pca.explained_variance_ratio[i]));
    if (!constant) pass.outliers->score(at, rows, data.pca, subject.options.seed);
    if (!keep_rows) data.rows.resize(0, 0);
    return data;
}

Effect mean_effect(const Pass& pass, double StreamNumbers::* value,
                   std::vector<double> StreamNumbers::* replicates, const char* control,
                   double StreamNumbers::* null) {
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
    if (subject.sample.n_groups >= kFewestGroups)
        effect.interval = Interval{quantile(means, 0.025), quantile(means, 0.975)};
    return effect;
}

/// In which layers each massive coordinate of the stream is there.
Json births(const Pass& pass) {
    std::map<int, std::vector<int>> layers;
    for (std::size_t i = 0; i < pass.sites.size(); ++i) {
        if (!pass.subject.stream || pass.sites[i].component != *pass.subject.stream ||
            !pass.rows[i].contains("massive_coordinates"))
            continue;
        for (const Json& coordinate : pass.rows[i]["massive_coordinates"])
            layers[coordinate.get<int>()].push_back(pass.sites[i].layer);
    }
    Json list = Json::array();
    for (const auto& [coordinate, where] : layers)
        list.push_back({{"coordinate", coordinate},
                        {"born", where.front()},
                        {"last", where.back()},
                        {"layers", where.size()}});
    return list;
}

}  // namespace

SitesResult measure_sites(const Subject& subject, Progress& progress) {
    SitesResult result;
    Pass pass{subject, vector_sites(subject.run), {}, {}, {}, {}, 0, 0};
    const Run& run = subject.run;
    if (subject.effects_only) {
        std::erase_if(pass.sites, [&](const Site& site) {
            return site.component != Component::attn_out && site.component != Component::mlp_out &&
                   !pass.headline(site);
        });
    }
    pass.rows.resize(pass.sites.size());
    pass.stream.resize(pass.sites.size());
    pass.outliers.emplace(run, pass.sites);
    pass.n_first = static_cast<std::int64_t>(subject.sample.first_rows.size());
    pass.n_rest = subject.sample.n_candidates;

    std::map<int, std::vector<std::size_t>> jobs;  // by layer; sites outside blocks are one job
    for (std::size_t i = 0; i < pass.sites.size(); ++i) jobs[pass.sites[i].layer].push_back(i);
    std::vector<std::vector<std::size_t>> list;
    for (auto& [layer, sites] : jobs) list.push_back(std::move(sites));
    std::vector<std::optional<PairNumbers>> pairs(list.size());
    std::atomic<std::int64_t> done{0};
    progress.begin("measuring " + run.model_name(), static_cast<std::int64_t>(pass.sites.size()), "sites");
    parallel_for(subject.sample.rows.empty() ? 0 : static_cast<std::int64_t>(list.size()), subject.threads,
                 [&](std::int64_t job) {
                     std::optional<SiteData> attention, mlp;
                     for (const std::size_t at : list[static_cast<std::size_t>(job)]) {
                         if (progress.stop_requested()) throw Stopped("no measure was written");
                         const Component component = pass.sites[at].component;
                         const bool paired =
                             component == Component::attn_out || component == Component::mlp_out;
                         SiteData data = measure_site(pass, at, paired);
                         run.release();
                         if (component == Component::attn_out) attention = std::move(data);
                         if (component == Component::mlp_out) mlp = std::move(data);
                         progress.update(++done);
                     }
                     if (!attention || !mlp) return;
                     const int layer = pass.sites[list[static_cast<std::size_t>(job)].front()].layer;
                     const bool headline = std::find(subject.layers.begin(), subject.layers.end(), layer) !=
                                           subject.layers.end();
                     pairs[static_cast<std::size_t>(job)] = measure_pair(
                         subject, {layer, attention->rows, mlp->rows, attention->pca, mlp->pca}, headline);
                 });
    progress.end();
    for (auto& pair : pairs) {
        if (pair) pass.pairs.push_back(std::move(*pair));
    }
    judge_pairs(subject, pass.pairs, result);
    result.effects["first_token_norm"] = measure_first_token(subject);
    result.effects["massive_coordinates"] =
        mean_effect(pass, &StreamNumbers::top_share, &StreamNumbers::top_share_replicates, "rotated basis",
                    &StreamNumbers::rotated);
    result.effects["anisotropy"] =
        mean_effect(pass, &StreamNumbers::anisotropy, &StreamNumbers::anisotropy_replicates, "random signs",
                    &StreamNumbers::signs);
    result.effects["intrinsic_dimension"] =
        mean_effect(pass, &StreamNumbers::two_nn, &StreamNumbers::two_nn_replicates, "Gaussian cloud",
                    &StreamNumbers::gaussian);
    if (subject.effects_only) return result;
    result.effects["massive_coordinates"].detail["coordinates"] = births(pass);
    add_norms(subject, pass.sites, pass.rows, result);
    result.tables["sites"] = pass.rows;
    if (run.n_rows() == 0) return result;
    result.outlier_threshold = pass.outliers->threshold(subject.options.false_alarm_rate);
    result.outliers = pass.outliers->outliers(result.outlier_threshold);
    result.first_tokens = pass.outliers->first_tokens();
    if (Json found = pass.outliers->found_labels(); !found.empty())
        result.tables["found_labels"] = std::move(found);
    return result;
}

}  // namespace tomograph
