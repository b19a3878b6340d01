// Position: how much variance it explains, and what curve its means draw.
#include <algorithm>
#include <cmath>
#include <functional>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/parts.h"
#include "tomograph/statistics/helix.h"
#include "tomograph/statistics/lattice.h"
#include "tomograph/statistics/positions.h"

namespace tomograph {
namespace {

constexpr std::int64_t kTableBytes = 160'000'000;  // of sums by group and position, each thread
constexpr std::int64_t kCurvePoints = 512;
constexpr int kCurveComponents = 12;
constexpr int kSurrogates = 39;
constexpr int kLatticeSurrogates = 19;
constexpr std::int64_t kFewestPositions = 16;

/// Stored rows of the longest sequences, at the positions after the first that all of them keep.
struct Grid {
    std::vector<std::vector<std::int64_t>> rows;  // per sequence: [n_positions] stored rows
    std::vector<int> group;                       // per sequence
    std::int64_t n_positions = 0;
    int n_groups = 0;
    std::string why_not;
};

Grid make_grid(const Subject& subject) {
    Grid grid;
    const Run& run = subject.run;
    const TokenTable& tokens = run.tokens();
    if (run.length() < kFewestPositions) {
        grid.why_not = "sequences of fewer than 16 tokens have no position structure to speak of";
        return grid;
    }
    std::vector<std::vector<std::int64_t>> by_sequence(subject.sample.group_of_sequence.size());
    std::vector<std::int64_t> lengths(by_sequence.size(), 0);
    for (std::int64_t t = 0; t < tokens.size(); ++t)
        ++lengths[static_cast<std::size_t>(tokens.sequence[static_cast<std::size_t>(t)])];
    std::vector<std::int64_t> seen(static_cast<std::size_t>(run.length()), 0);
    std::int64_t n_long = 0;
    for (const std::int64_t length : lengths) n_long += length == run.length();
    for (std::int64_t row = 0; row < run.n_rows(); ++row) {
        const auto t = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)]);
        const auto s = static_cast<std::size_t>(tokens.sequence[t]);
        if (lengths[s] != run.length() || tokens.position[t] == 0) continue;
        by_sequence[s].push_back(row);
        ++seen[static_cast<std::size_t>(tokens.position[t])];
    }
    for (auto& rows : by_sequence) {
        std::erase_if(rows, [&](std::int64_t row) {
            const auto t = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)]);
            return seen[static_cast<std::size_t>(tokens.position[t])] != n_long;
        });
        if (rows.empty()) continue;
        std::sort(rows.begin(), rows.end(), [&](std::int64_t a, std::int64_t b) {
            return tokens.position[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(a)])] <
                   tokens.position[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(b)])];
        });
        grid.rows.push_back(std::move(rows));
    }
    if (grid.rows.size() < 2) {
        grid.why_not = n_long < 2 ? "one sequence of full length only: what position explains cannot be told "
                                    "from what its token does"
                                  : "no position is kept of every sequence; capture without --sample";
        return grid;
    }
    grid.n_positions = static_cast<std::int64_t>(grid.rows.front().size());
    if (grid.n_positions < kFewestPositions) {
        grid.why_not = "too few positions are kept; capture more --positions";
        return grid;
    }
    const std::int64_t affordable =
        std::max<std::int64_t>(kFewestGroups, kTableBytes / (4 * grid.n_positions * run.d_model()));
    grid.n_groups = static_cast<int>(
        std::min<std::int64_t>({static_cast<std::int64_t>(grid.rows.size()), kMostGroups, affordable}));
    for (std::size_t s = 0; s < grid.rows.size(); ++s)
        grid.group.push_back(
            static_cast<int>(s * static_cast<std::size_t>(grid.n_groups) / grid.rows.size()));
    return grid;
}

/// Unit vectors: one token with fifty times the others' norm would decide everything.
PositionTable read_table(const Run& run, const Site& site, const Grid& grid) {
    PositionTable table(grid.n_groups, grid.n_positions, run.d_model());
    for (std::size_t s = 0; s < grid.rows.size(); ++s) {
        Matrix rows = read_sample(run, site, grid.rows[s]);
        rows.rowwise().normalize();
        table.add(grid.group[s], rows);
    }
    return table;
}

/// Scores of points [n, d] on their leading components, by PCA.
MatrixD leading_scores(const Matrix& points, int components) {
    const Pca pca = fit_pca(MatrixRows(points), {.n_components = components, .threads = 1});
    return transform(pca, MatrixRows(points), {.threads = 1}).cast<double>();
}

/// A curve with what random curves give in its place.
struct CurveNumbers {
    HelixFit fit;
    double shuffled = kNoNumber, walk = kNoNumber;  // of the helix's R^2
    LatticeScore lattice;
    double gaussian_lattice = kNoNumber, walk_lattice = kNoNumber;
};

CurveNumbers measure_curve(const Subject& subject, const MatrixD& curve, const HelixFitter& fitter) {
    CurveNumbers numbers;
    const MatrixD scores = principal_scores(curve);
    numbers.fit = fitter.fit(scores);
    numbers.lattice = lattice_score(scores, {.seed = subject.options.seed});
    if (subject.effects_only) return numbers;
    std::vector<double> shuffled(kSurrogates), walks(kSurrogates), lattices(kLatticeSurrogates),
        gaussians(kLatticeSurrogates);
    parallel_for(kSurrogates, subject.threads, [&](std::int64_t s) {
        const auto i = static_cast<std::size_t>(s);
        const std::uint64_t seed = mix(subject.options.seed, static_cast<std::uint64_t>(s));
        shuffled[i] = fitter.r2(shuffled_points(scores, seed));
        const MatrixD walk = principal_scores(shuffled_steps(scores, seed));
        walks[i] = fitter.r2(walk);
        if (s >= kLatticeSurrogates) return;
        lattices[i] = lattice_score(walk, {.seed = subject.options.seed}).score;
        gaussians[i] = gaussian_lattice_score(numbers.lattice.n_points, 3, seed);
    });
    numbers.shuffled = quantile(shuffled, 0.975);
    numbers.walk = quantile(walks, 0.975);
    numbers.gaussian_lattice = quantile(gaussians, 0.975);
    numbers.walk_lattice = quantile(lattices, 0.975);
    return numbers;
}

Json describe(const CurveNumbers& curve) {
    return {{"r2", number(curve.fit.r2)},
            {"shape", curve.fit.shape},
            {"line_r2", number(curve.fit.line_r2)},
            {"circle_r2", number(curve.fit.circle_r2)},
            {"turns", number(curve.fit.turns)},
            {"circularity", number(curve.fit.circularity)},
            {"r2_shuffled", number(curve.shuffled)},
            {"r2_random_walk", number(curve.walk)},
            {"lattice", number(curve.lattice.score)},
            {"lattice_gaussian", number(curve.gaussian_lattice)},
            {"lattice_random_walk", number(curve.walk_lattice)}};
}

Json describe(const std::vector<PairPhase>& pairs) {
    Json list = Json::array();
    for (const PairPhase& pair : pairs)
        list.push_back({{"components", {pair.first, pair.second}},
                        {"power_share", number(pair.power_share)},
                        {"turns", number(pair.turns)},
                        {"phase", number(pair.phase)}});
    return list;
}

/// A curve for drawing: its first three scores, and the position of each point.
void add_points(const MatrixD& scores, const MatrixD& position, Json& entry) {
    entry["position"] = Json::array();
    entry["scores"] = Json::array();
    for (Eigen::Index i = 0; i < scores.rows(); ++i) {
        entry["position"].push_back(number(position(i, 0)));
        Json point = Json::array();
        for (Eigen::Index c = 0; c < std::min<Eigen::Index>(3, scores.cols()); ++c)
            point.push_back(number(scores(i, c)));
        entry["scores"].push_back(std::move(point));
    }
}

void judge_shape(const CurveNumbers& curve, Effect& effect) {
    if (curve.fit.shape == "helix") return;
    if (curve.fit.shape == "none")
        effect.absent = "a helix explains less than half of the curve";
    else
        effect.absent = "the curve is " +
                        std::string(curve.fit.shape == "wave" ? "a flat wave" : "a " + curve.fit.shape) +
                        ": a helix explains no more";
}

/// Token embeddings: their leading components against a Gaussian cloud.
void measure_embeddings(const Subject& subject, PartResult& result, Json& detail) {
    const Run& run = subject.run;
    const Site site{Component::embed};
    if (!run.has_vectors(site)) {
        detail["token_embeddings"] = nullptr;
        result.notes.push_back(
            "the lattice score of token embeddings needs embed; capture with --components embed");
        return;
    }
    std::vector<std::int64_t> rows;
    std::vector<std::int32_t> seen;
    for (std::int64_t row = 0; row < run.n_rows(); ++row)
        seen.push_back(
            run.tokens().token_id[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)])]);
    std::vector<std::int64_t> order(seen.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return seen[static_cast<std::size_t>(a)] < seen[static_cast<std::size_t>(b)];
    });
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (i == 0 ||
            seen[static_cast<std::size_t>(order[i])] != seen[static_cast<std::size_t>(order[i - 1])])
            rows.push_back(order[i]);
    }
    if (rows.size() < 16) return;
    const auto chosen =
        sample_indices(static_cast<std::int64_t>(rows.size()), subject.options.rows, subject.options.seed);
    std::vector<std::int64_t> kept;
    for (const std::int64_t i : chosen) kept.push_back(rows[static_cast<std::size_t>(i)]);
    const LatticeScore score =
        lattice_score(leading_scores(read_sample(run, site, kept), 3), {.seed = subject.options.seed});
    std::vector<double> gaussian;
    for (std::uint64_t s = 0; s < kLatticeSurrogates; ++s)
        gaussian.push_back(gaussian_lattice_score(score.n_points, 3, mix(subject.options.seed, s)));
    detail["token_embeddings"] = {{"lattice", number(score.score)},
                                  {"lattice_gaussian", number(quantile(gaussian, 0.975))},
                                  {"points", score.n_points}};
}

/// The learned table itself: exact, so its interval is a point.
bool measure_learned(const Subject& subject, Effect& helix, PartResult& result) {
    const Run& run = subject.run;
    const Site site{Component::pos_embed};
    if (!run.json().at("model").value("learned_positions", false) || !run.has_site(site) ||
        !run.has_stats() || run.length() < kFewestPositions)
        return false;
    const MatrixD curve = thin_curve(leading_scores(run.means(site), kCurveComponents), kCurvePoints);
    const HelixFitter fitter(curve.rows());
    const CurveNumbers numbers = measure_curve(subject, curve, fitter);
    helix.value = numbers.fit.r2;
    helix.interval = Interval{helix.value, helix.value};
    helix.detail = {{"curve", "pos_embed"}, {"fit", describe(numbers)}};
    helix.controls = {{"positions shuffled", numbers.shuffled}, {"steps shuffled", numbers.walk}};
    judge_shape(numbers, helix);
    if (subject.effects_only) return true;
    Json& table = result.tables["positions"]["learned"];
    table = {{"fit", describe(numbers)}, {"pairs", describe(pair_phases(curve))}};
    const auto n = static_cast<Eigen::Index>(run.length());
    add_points(curve, thin_curve(Eigen::VectorXd::LinSpaced(n, 0, static_cast<double>(n - 1)), kCurvePoints),
               table);
    return true;
}

}  // namespace

PositionsResult measure_positions(const Subject& subject, Progress& progress) {
    PositionsResult result;
    Effect& share = result.effects["position_share"];
    Effect& helix = result.effects["position_helix"];
    Effect& lattice = result.effects["position_lattice"];
    const bool learned = measure_learned(subject, helix, result);
    std::string why = subject.lacks_stream();
    Grid grid;
    if (why.empty()) {
        grid = make_grid(subject);
        why = grid.why_not;
    }
    if (!why.empty()) {
        share.unmeasurable = lattice.unmeasurable = why;
        if (!learned) helix.unmeasurable = why;
        return result;
    }
    const Run& run = subject.run;
    std::vector<Site> sites;
    for (const int layer : subject.layers_with(*subject.stream)) sites.push_back({*subject.stream, layer});
    if (sites.empty()) {
        share.unmeasurable = lattice.unmeasurable = "no middle layer was captured; capture more --layers";
        if (!learned) helix.unmeasurable = share.unmeasurable;
        return result;
    }
    progress.begin("reading by position", static_cast<std::int64_t>(sites.size()), "layers");
    PositionTable average(grid.n_groups, grid.n_positions,
                          run.d_model());  // summed over layers: curves do not mind
    std::vector<double> eta2, shuffled, shared;
    std::vector<std::vector<double>> replicates;
    for (std::size_t l = 0; l < sites.size(); ++l) {
        if (progress.stop_requested()) throw Stopped("no measure was written");
        PositionTable table = read_table(run, sites[l], grid);
        run.release();
        average.add(table);
        table.finish();
        eta2.push_back(table.eta2());
        shuffled.push_back(table.shuffled_eta2());
        shared.push_back(table.shared());
        std::vector<double> own(static_cast<std::size_t>(subject.options.bootstrap));
        for (std::size_t r = 0; r < own.size(); ++r)
            own[r] =
                table.shared(bootstrap_weights(grid.n_groups, subject.options.seed, static_cast<int>(r)));
        replicates.push_back(std::move(own));
        progress.update(static_cast<std::int64_t>(l) + 1);
    }
    progress.end();
    const std::string curve_name = std::string(component_name(*subject.stream)) +
                                   " as unit vectors, averaged over the middle layers and sequences";
    share.value = mean_of(eta2);
    result.shared = mean_of(shared);
    for (std::size_t r = 0; r < replicates.front().size(); ++r) {
        double sum = 0;
        for (const auto& own : replicates) sum += own[r];
        result.shared_replicates.push_back(sum / static_cast<double>(replicates.size()));
    }
    share.detail = {
        {"layers", Json::array()}, {"by_layer", numbers(eta2)}, {"shared", number(result.shared)}};
    for (const Site& site : sites) share.detail["layers"].push_back(site.layer);
    if (std::isnan(share.value)) share.unmeasurable = "the rows do not vary";

    average.finish();
    const Matrix means = average.means();
    const Pca pca = fit_pca(MatrixRows(means), {.n_components = kCurveComponents, .threads = 1});
    const auto parts = average.project(pca.components);
    const auto curve_under = [&](std::span<const double> w) {
        MatrixD curve = MatrixD::Zero(grid.n_positions, pca.n_components());
        double total = 0;
        for (std::size_t g = 0; g < parts.size(); ++g) {
            if (w[g] != 0) curve += w[g] * parts[g];
            total += w[g];
        }
        return thin_curve(curve * (static_cast<double>(parts.size()) / total), kCurvePoints);
    };
    const MatrixD curve = curve_under(std::vector<double>(parts.size(), 1.0));
    const HelixFitter fitter(curve.rows());
    const CurveNumbers numbers_of_curve = measure_curve(subject, curve, fitter);
    const CurveNumbers& found = numbers_of_curve;
    lattice.value = found.lattice.score;
    lattice.detail["curve"] = curve_name;
    if (!learned) {
        helix.value = found.fit.r2;
        helix.detail["curve"] = curve_name;
        judge_shape(found, helix);
    }
    helix.detail["stream"] = describe(found);
    helix.detail["variance_of_three"] =
        number(pca.explained_variance_ratio.head(std::min<Eigen::Index>(3, pca.n_components())).sum());
    if (subject.effects_only) return result;

    // Intervals come from the bias-free share, mapped to what eta squared makes of it.
    const double null = mean_of(shuffled), n = average.n_sequences();
    if (grid.n_groups >= kFewestGroups) {
        const double shift = share.value - (result.shared + (1 - result.shared) / n);
        const auto mapped = [&](double s) { return s + (1 - s) / n + shift; };
        share.interval = Interval{mapped(quantile(result.shared_replicates, 0.025)),
                                  mapped(quantile(result.shared_replicates, 0.975))};
    }
    const auto spread =
        [&](int n_replicates, double effect,
            const std::function<double(std::span<const double>)>& statistic) -> std::optional<Interval> {
        if (grid.n_groups < kFewestGroups) return std::nullopt;
        std::vector<double> values(static_cast<std::size_t>(n_replicates));
        parallel_for(n_replicates, subject.threads, [&](std::int64_t r) {
            values[static_cast<std::size_t>(r)] =
                statistic(bootstrap_weights(grid.n_groups, subject.options.seed, static_cast<int>(r)));
        });
        return spread_interval(effect, values, 0, 1);
    };
    share.controls.push_back({"positions shuffled within sequence", null});
    if (!learned) {
        helix.interval = spread(subject.options.bootstrap, helix.value, [&](std::span<const double> w) {
            return fitter.r2(principal_scores(curve_under(w)));
        });
        helix.controls = {{"positions shuffled", found.shuffled}, {"steps shuffled", found.walk}};
    }
    lattice.interval =
        spread(std::min(40, subject.options.bootstrap), lattice.value, [&](std::span<const double> w) {
            return lattice_score(principal_scores(curve_under(w)), {.seed = subject.options.seed}).score;
        });
    lattice.controls = {{"Gaussian cloud", found.gaussian_lattice}, {"steps shuffled", found.walk_lattice}};
    measure_embeddings(subject, result, lattice.detail);
    Json& table = result.tables["positions"];
    table["sequences"] = grid.rows.size();
    table["positions"] = grid.n_positions;
    table["stream"] = {{"curve", curve_name},
                       {"fit", describe(found)},
                       {"pairs", describe(pair_phases(principal_scores(curve)))},
                       {"variance_ratio",
                        numbers({pca.explained_variance_ratio.begin(), pca.explained_variance_ratio.end()})}};
    MatrixD position(grid.n_positions, 1);
    for (Eigen::Index p = 0; p < position.rows(); ++p) {
        const std::int64_t row = grid.rows.front()[static_cast<std::size_t>(p)];
        position(p, 0) =
            run.tokens().position[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)])];
    }
    add_points(principal_scores(curve), thin_curve(position, kCurvePoints), table["stream"]);
    table["by_layer"] = Json::array();
    for (std::size_t l = 0; l < sites.size(); ++l)
        table["by_layer"].push_back({{"layer", sites[l].layer},
                                     {"eta2", number(eta2[l])},
                                     {"shared", number(shared[l])},
                                     {"shuffled", number(shuffled[l])}});
    return result;
}

}  // namespace tomograph
