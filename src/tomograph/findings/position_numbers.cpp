#include "tomograph/findings/position_numbers.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/linear/pca.h"
#include "tomograph/statistics/inference.h"
#include "tomograph/statistics/positions.h"

namespace tomograph {
namespace {

constexpr std::int64_t kTableBytes = 160'000'000;  // of sums by group and position, each thread

/// Stored rows of the longest sequences, at the positions from `first` on that all of them keep.
struct Grid {
    std::vector<std::vector<std::int64_t>> rows;  // per sequence: [n_positions] stored rows
    std::vector<int> group;                       // per sequence
    std::int64_t n_positions = 0;
    int n_groups = 0;
    std::string why_not;
};

Grid make_grid(const Subject& subject, std::int64_t first) {
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
        if (lengths[s] != run.length() || tokens.position[t] < first) continue;
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

/// Unit vectors: one token with fifty times the others' norm would decide everything. A row that is left out
/// has the mean of the other sequences at its position in its place, so that it says nothing there.
PositionTable read_table(const Run& run, const Site& site, const Grid& grid,
                         std::span<const std::uint8_t> left_out) {
    const auto is_hole = [&](std::int64_t row) { return left_out[static_cast<std::size_t>(row)] != 0; };
    PositionTable table(grid.n_groups, grid.n_positions, run.d_model());
    std::vector<std::size_t> with_holes;
    MatrixD sums = MatrixD::Zero(grid.n_positions, run.d_model());
    VectorD counts = VectorD::Zero(grid.n_positions);
    for (std::size_t s = 0; s < grid.rows.size(); ++s) {
        Matrix rows = read_sample(run, site, grid.rows[s]);
        rows.rowwise().normalize();
        for (Eigen::Index p = 0; p < rows.rows(); ++p) {
            if (is_hole(grid.rows[s][static_cast<std::size_t>(p)])) continue;
            sums.row(p) += rows.row(p).cast<double>();
            counts[p] += 1;
        }
        if (std::ranges::any_of(grid.rows[s], is_hole))
            with_holes.push_back(s);
        else
            table.add(grid.group[s], rows);
    }
    for (const std::size_t s : with_holes) {
        Matrix rows = read_sample(run, site, grid.rows[s]);
        rows.rowwise().normalize();
        for (Eigen::Index p = 0; p < rows.rows(); ++p) {
            if (is_hole(grid.rows[s][static_cast<std::size_t>(p)]))
                rows.row(p) = (sums.row(p) / std::max(1.0, counts[p])).cast<float>();
        }
        table.add(grid.group[s], rows);
    }
    return table;
}

void measure_shares(const Subject& subject, const PositionTable& table, PositionNumbers& numbers) {
    numbers.eta2.push_back(table.eta2());
    numbers.shuffled.push_back(table.shuffled_eta2());
    numbers.shared.push_back(table.shared());
    numbers.split.push_back(table.split());
    std::vector<double> weights(static_cast<std::size_t>(table.n_groups()), 1.0);
    numbers.shared_left_out.resize(weights.size(), 0.0);
    for (std::size_t g = 0; g < weights.size(); ++g) {
        weights[g] = 0;
        numbers.shared_left_out[g] += table.shared(weights);
        weights[g] = 1;
    }
    numbers.shared_pairs_out.resize(weights.size() * (weights.size() - 1) / 2, 0.0);
    std::size_t pair = 0;
    leave_out_pairs(table.n_groups(), [&](std::span<const double> without) {
        numbers.shared_pairs_out[pair++] += table.shared(without);
    });
    numbers.shared_replicates.resize(static_cast<std::size_t>(subject.options.bootstrap), 0.0);
    for (std::size_t r = 0; r < numbers.shared_replicates.size(); ++r)
        numbers.shared_replicates[r] +=
            table.shared(bootstrap_weights(table.n_groups(), subject.options.seed, static_cast<int>(r)));
}

}  // namespace

MatrixD leading_scores(const Matrix& points, int components) {
    const Pca pca = fit_pca(MatrixRows(points), {.n_components = components, .threads = 1});
    return transform(pca, MatrixRows(points), {.threads = 1}).cast<double>();
}

MatrixD PositionNumbers::curve_under(std::span<const double> weights) const {
    MatrixD sum = MatrixD::Zero(n_positions, parts.front().cols());
    double total = 0;
    for (std::size_t g = 0; g < parts.size(); ++g) {
        if (weights[g] != 0) sum += weights[g] * parts[g];
        total += weights[g];
    }
    return thin_curve(sum * (static_cast<double>(parts.size()) / total), kCurvePoints);
}

std::optional<Interval> PositionNumbers::spread(
    const Subject& subject, int replicates, double effect,
    const std::function<double(const MatrixD& curve)>& statistic) const {
    if (n_groups < kFewestGroups) return std::nullopt;
    std::vector<double> values(static_cast<std::size_t>(replicates));
    parallel_for(replicates, subject.threads, [&](std::int64_t r) {
        const auto weights = bootstrap_weights(n_groups, subject.options.seed, static_cast<int>(r));
        values[static_cast<std::size_t>(r)] = statistic(curve_under(weights));
    });
    return spread_interval(effect, values, n_groups, 0, 1);
}

PositionNumbers measure_positions(const Subject& subject, const Matrix* basis, std::int64_t first) {
    PositionNumbers numbers;
    numbers.why_not = subject.lacks_stream();
    if (!numbers.why_not.empty()) return numbers;
    const Grid grid = make_grid(subject, first);
    numbers.why_not = grid.why_not;
    if (!numbers.why_not.empty()) return numbers;
    const Run& run = subject.run;
    for (const int layer : subject.layers_with(*subject.stream))
        numbers.sites.push_back({*subject.stream, layer});
    numbers.n_sequences = static_cast<std::int64_t>(grid.rows.size());
    numbers.n_positions = grid.n_positions;
    numbers.n_groups = grid.n_groups;
    numbers.position.resize(grid.n_positions, 1);
    for (Eigen::Index p = 0; p < numbers.position.rows(); ++p) {
        const std::int64_t row = grid.rows.front()[static_cast<std::size_t>(p)];
        numbers.position(p, 0) =
            run.tokens().position[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)])];
    }

    subject.progress.begin("reading by position", static_cast<std::int64_t>(numbers.sites.size()), "layers");
    // Summed over layers: curves do not mind.
    PositionTable average(grid.n_groups, grid.n_positions, run.d_model());
    for (std::size_t l = 0; l < numbers.sites.size(); ++l) {
        if (subject.progress.stop_requested()) throw Stopped("no measure was written");
        PositionTable table = read_table(run, numbers.sites[l], grid, subject.census.left_out);
        run.release();
        average.add(table);
        table.finish();
        measure_shares(subject, table, numbers);
        subject.progress.update(static_cast<std::int64_t>(l) + 1);
    }
    subject.progress.end();
    for (auto* sums : {&numbers.shared_replicates, &numbers.shared_left_out, &numbers.shared_pairs_out}) {
        for (double& sum : *sums) sum /= static_cast<double>(numbers.sites.size());
    }
    numbers.mean_shared = mean_of(numbers.shared);

    average.finish();
    const Matrix means = average.means();
    const Pca pca = fit_pca(MatrixRows(means), {.n_components = kCurveComponents, .threads = 1});
    numbers.variance_ratio = {pca.explained_variance_ratio.begin(), pca.explained_variance_ratio.end()};
    numbers.basis = basis != nullptr ? *basis : pca.components;
    numbers.parts = average.project(numbers.basis);
    numbers.curve_name = std::string(component_name(*subject.stream)) +
                         " as unit vectors, averaged over the middle layers and sequences";
    numbers.curve = numbers.curve_under(std::vector<double>(numbers.parts.size(), 1.0));
    return numbers;
}

}  // namespace tomograph
