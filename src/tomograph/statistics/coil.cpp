#include "tomograph/statistics/coil.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/statistics/coil_null.h"
#include "tomograph/statistics/distributions.h"
#include "tomograph/statistics/positions.h"
#include "tomograph/statistics/solvers.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr std::int64_t kFewest = 32, kMost = 256;
constexpr std::int64_t kFit = 64;  // points of the coarser curve whose components are kept
constexpr Eigen::Index kComponents = 16;
// Where this many surrogates give a chance as large as that, no more are drawn: p is far from any level.
constexpr int kFirstBatch = 49;
constexpr double kHopeless = 0.2;
// The same of more of them: only a chance that many tests' correction may ask to be small is made finer.
constexpr int kSecondBatch = 199;
constexpr double kPlain = 0.05;
constexpr double kAxisChance = 0.005;
constexpr double kRise = 0.5;  // of the coil's radius: less is a ring that does not close

/// Rows in the leading components of a coarser curve, where white noise has been averaged out, and in the
/// direction of the line.
MatrixD reduced(const MatrixD& curve) {
    const MatrixD centred = curve.rowwise() - curve.colwise().mean();
    const MatrixD coarse = detrended(thin_curve(curve, kFit));
    const auto [values, vectors] = symmetric_eigen(coarse * coarse.transpose());
    Eigen::Index kept = 0;
    while (kept < std::min({kComponents, coarse.rows(), coarse.cols()}) &&
           values[values.size() - 1 - kept] > 1e-12 * values[values.size() - 1])
        ++kept;
    MatrixD basis(curve.cols(), kept + 1);
    for (Eigen::Index c = 0; c < kept; ++c)
        basis.col(c) = (coarse.transpose() * vectors.col(values.size() - 1 - c)).normalized();
    VectorD line = centred.transpose() * unit_line(curve.rows());
    const double length = line.norm();
    for (int twice = 0; twice < 2; ++twice)
        line -= basis.leftCols(kept) * (basis.leftCols(kept).transpose() * line).eval();
    if (length > 0 && line.norm() > 1e-6 * length) basis.col(kept++) = line.normalized();
    return centred * basis.leftCols(kept);
}

/// The line outside of the coil's plane: its rise, and the chance that slow noise there rises as much.
void judge_axis(const MatrixD& scores, const TurningBasis& basis, const Turn& turn, double radius,
                Coil& coil) {
    const Eigen::Index n = scores.rows(), outside = scores.cols() - 2;
    if (outside < 1 || !(radius > 0)) return;
    const MatrixD rest = scores * left_singular_vectors(turn.plane).rightCols(outside);
    const double along = (unit_line(n).transpose() * rest).squaredNorm();
    constexpr Eigen::Index kModes = 8;
    // The first two cosine modes are 0 and what a line mostly is.
    const double slow = basis.cosines(detrended(rest)).middleRows(2, kModes).squaredNorm() / kModes;
    const auto freedom = static_cast<double>(outside);
    coil.p_axis =
        f_tail(slow > 0 ? along / slow : std::numeric_limits<double>::infinity(), freedom, freedom * kModes);
    // A line of unit slope over n points has a norm of sqrt(n / 12) of its rise.
    coil.rise = std::sqrt(std::max(along - slow, 0.0) * 12 / static_cast<double>(n)) / radius;
}

std::size_t best_frequency(const TurningBasis::Turning& turning) {
    return static_cast<std::size_t>(std::max_element(turning.share.begin(), turning.share.end()) -
                                    turning.share.begin());
}

/// The chances of such turning among surrogates of one kind, and how far they turn there.
struct Chance {
    double turning = 1;  ///< as much turning
    double coil = 1;     ///< as much, in one coil
    double usual = 0;    ///< 97.5 % of the surrogates' turning at the curve's own frequency
};
/// 97.5 % of the surrogates turn less at the curve's own frequency; where the curve is one coil, surrogates
/// that are none count as not turning, and the search ends a little below.
double usual(const std::vector<std::vector<double>>& shares, const Turn& turn,
             const std::function<bool(std::size_t)>& coiled) {
    std::vector<std::size_t> order(shares.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return shares[a][turn.at] > shares[b][turn.at]; });
    const auto above = static_cast<int>(0.025 * static_cast<double>(shares.size()));
    constexpr std::size_t kLooked = 24;
    int counted = 0;
    double own = 0;
    for (std::size_t i = 0, below = 0; i < order.size() && below < kLooked; ++i) {
        own = shares[order[i]][turn.at];
        if (own < turn.turning) ++below;
        counted += !turn.coiled() || coiled(order[i]);
        if (counted > above) break;
    }
    return own;
}

Chance chance(const CoilSurrogates& surrogates, const TurningBasis& basis, const TurningBasis::Turning& found,
              const Turn& turn, std::uint64_t seed, const CoilOptions& options) {
    const auto n_frequencies = basis.frequencies().size();
    const auto draw = [&](std::size_t r) { return surrogates.draw(mix(seed, r)); };
    std::vector<std::vector<double>> shares;
    Chance result;
    for (int done = 0; done < options.replicates;) {
        const int aim = done == 0 ? kFirstBatch : done < kSecondBatch ? kSecondBatch : options.replicates;
        const int batch = std::min(aim, options.replicates) - done;
        const auto begin = static_cast<std::size_t>(done);
        shares.resize(begin + static_cast<std::size_t>(batch));
        parallel_for(batch, options.threads, [&](std::int64_t r) {
            const std::size_t i = begin + static_cast<std::size_t>(r);
            shares[i] = basis.turning(draw(i)).share;
        });
        done += batch;
        // Random curves turn more at low frequencies than at high ones: each frequency has its own measure,
        // the mean and deviation over all curves, this one included.
        const double all = done + 1;
        std::vector<double> mean = found.share, deviation(n_frequencies, 0);
        for (const auto& own : shares)
            for (std::size_t f = 0; f < n_frequencies; ++f) mean[f] += own[f];
        for (double& value : mean) value /= all;
        const auto add_squares = [&](const std::vector<double>& own) {
            for (std::size_t f = 0; f < n_frequencies; ++f)
                deviation[f] += (own[f] - mean[f]) * (own[f] - mean[f]);
        };
        add_squares(found.share);
        for (const auto& own : shares) add_squares(own);
        const auto standing = [&](const std::vector<double>& own, std::size_t f) {
            return deviation[f] > 0 ? (own[f] - mean[f]) / std::sqrt(deviation[f]) : 0;
        };
        const double observed = standing(found.share, turn.at);
        const auto coiled = [&](std::size_t r) {
            const MatrixD curve = draw(r);
            const TurningBasis::Turning turning = basis.turning(curve);
            return describe_turn(basis, turning, curve, best_frequency(turning)).coiled();
        };
        int as_much = 1, as_coiled = 1;
        for (std::size_t r = 0; r < shares.size(); ++r) {
            double most = -std::numeric_limits<double>::infinity();
            for (std::size_t f = 0; f < n_frequencies; ++f) most = std::max(most, standing(shares[r], f));
            if (most < observed) continue;
            ++as_much;
            if (turn.coiled()) as_coiled += coiled(r);
        }
        result = {as_much / all, turn.coiled() ? as_coiled / all : 1, usual(shares, turn, coiled)};
        if (std::min(result.turning, result.coil) >= (done < kSecondBatch ? kHopeless : kPlain)) break;
    }
    return result;
}

/// The chance that a flat wave, the curve's own in its band's main direction, turns as much through nothing
/// but the curve's noise.
double flat_chance(const TurningBasis& basis, const MatrixD& path, const Turn& turn, double turning,
                   const VectorD& noise, const CoilOptions& options) {
    const MatrixD cosines = basis.cosines(path);
    const double f = basis.frequencies()[turn.at];
    const MatrixD band = basis.low_passed(cosines, f * TurningBasis::kWidth) -
                         basis.low_passed(cosines, f / TurningBasis::kWidth);
    const VectorD main = symmetric_eigen(band.transpose() * band).vectors.rightCols(1);
    const MatrixD flat = band * main * main.transpose();
    std::vector<double> most(static_cast<std::size_t>(options.replicates));
    parallel_for(options.replicates, options.threads, [&](std::int64_t r) {
        Rng rng(mix(options.seed, 0xf1a7, static_cast<std::uint64_t>(r)));
        MatrixD curve(path.rows(), path.cols());
        for (double& value : curve.reshaped<Eigen::RowMajor>()) value = rng.normal();
        curve = detrended(flat + curve * noise.cwiseSqrt().asDiagonal());
        const auto share = basis.turning(curve).share;
        most[static_cast<std::size_t>(r)] =
            *std::max_element(share.begin(), share.end()) * curve.squaredNorm();
    });
    const auto as_much = std::count_if(most.begin(), most.end(), [&](double m) { return m >= turning; });
    return static_cast<double>(1 + as_much) / (options.replicates + 1);
}

/// Local tops of the spectrum that stand out from their neighbourhood.
std::vector<CoilLine> spectral_lines(const MatrixD& cosines) {
    const Eigen::Index n = cosines.rows();
    VectorD power = cosines.rowwise().squaredNorm();
    const double floor = noise_variance(cosines).sum();
    const double total = power.sum() - static_cast<double>(n) * floor;
    std::vector<CoilLine> lines;
    if (!(total > 0)) return lines;
    VectorD around(n);  // power within half a turn
    for (Eigen::Index m = 0; m < n; ++m) {
        const Eigen::Index low = std::max<Eigen::Index>(1, m - 1), high = std::min(n - 1, m + 1);
        around[m] = power.segment(low, high - low + 1).sum() - static_cast<double>(high - low + 1) * floor;
    }
    for (Eigen::Index m = 3; m + 3 < n && 2 * m < n; ++m) {
        const Eigen::Index low = std::max<Eigen::Index>(0, m - 3);
        if (around[m] < around.segment(low, std::min<Eigen::Index>(7, n - low)).maxCoeff()) continue;
        double moment = 0, weight = 0;
        for (Eigen::Index j = m - 1; j <= m + 1; ++j) {
            moment += power[j] * static_cast<double>(j) / 2;
            weight += power[j];
        }
        if (around[m] >= 0.04 * total) lines.push_back({moment / weight, around[m] / total});
    }
    std::stable_sort(lines.begin(), lines.end(), [](auto& a, auto& b) { return a.share > b.share; });
    if (lines.size() > 8) lines.resize(8);
    return lines;
}

/// Autocorrelation over what overlaps, and its highest value after the first zero, up to three quarters of
/// the curve.
void measure_recurrence(const MatrixD& curve, double positions_per_point, Coil& coil) {
    const Eigen::Index n = curve.rows();
    const MatrixD gram = curve * curve.transpose();
    bool negative = false;
    coil.recurrence = kNoNumber;
    coil.recurrence_lag = kNoNumber;
    for (Eigen::Index lag = 1; lag < 3 * n / 4; ++lag) {
        const double own = gram.diagonal().head(n - lag).sum() * gram.diagonal().tail(n - lag).sum();
        const double value = own > 0 ? gram.diagonal(lag).sum() / std::sqrt(own) : 0;
        negative = negative || value < 0;
        if (!negative || value <= coil.recurrence) continue;  // NaN at first
        coil.recurrence = value;
        coil.recurrence_lag = static_cast<double>(lag) * positions_per_point;
    }
}

/// Variances of the principal components, and how the curve turns in two of the first three, seen along the
/// one that a line explains best.
void measure_components(const Matrix& curve, const MatrixD& points, const TurningBasis& basis, Coil& coil) {
    const MatrixD centred = points.rowwise() - points.colwise().mean();
    const double total = centred.squaredNorm();
    const VectorD line = unit_line(points.rows());
    coil.line_r2 = (line.transpose() * centred).squaredNorm() / total;
    const SymmetricEigen eigen = symmetric_eigen(centred * centred.transpose());
    const VectorD values = eigen.values.reverse();
    const MatrixD scores =
        eigen.vectors.rowwise().reverse().leftCols(3) * values.head(3).cwiseMax(0).cwiseSqrt().asDiagonal();
    for (Eigen::Index i = 0; i < std::min<Eigen::Index>({6, values.size(), curve.cols()}); ++i)
        coil.variance_ratio.push_back(values[i] / total);
    coil.gap = values[3] > 1e-12 * values[0] ? values[2] / values[3] : kNoNumber;
    Eigen::Index along = 0;
    (line.transpose() * scores).cwiseAbs2().cwiseQuotient(scores.colwise().squaredNorm()).maxCoeff(&along);
    coil.along_component = static_cast<int>(along);
    MatrixD plane = MatrixD::Zero(3, 2);
    plane(along == 0 ? 1 : 0, 0) = plane(along == 2 ? 1 : 2, 1) = 1;
    const MatrixD cosines = basis.cosines(scores);
    const double quiet = basis.quiet_turns(cosines * plane, coil.frequency);
    if (2 * quiet < static_cast<double>(points.rows())) {
        coil.component_turns = basis.winding(cosines, plane, quiet).net;
        return;
    }
    // Nothing needs smoothing: every position counts.
    const MatrixD axes = centred.transpose() * eigen.vectors.rowwise().reverse().leftCols(3) *
                         values.head(3).cwiseMax(1e-300).cwiseSqrt().cwiseInverse().asDiagonal() * plane;
    coil.component_turns = winding_of((curve.cast<double>().rowwise() - points.colwise().mean()) * axes).net;
}

void name_shape(const CoilOptions& options, Coil& coil) {
    const bool rises = coil.p_axis <= kAxisChance;
    const bool axis = rises && coil.rise >= kRise;
    const char* line = coil.line_r2 >= 0.05 && rises ? "a line and " : "";
    // Where three components hold the curve, its turns are those of the picture.
    const double turns = coil.gap >= 2 ? std::max(coil.turns, coil.component_turns) : coil.turns;
    std::string frequencies;
    for (std::size_t i = 0; i < std::min<std::size_t>(5, coil.lines.size()); ++i)
        frequencies += fmt::format("{}{:.1f}", i > 0 ? ", " : "", coil.lines[i].turns);
    if (coil.p <= options.level) {
        coil.shape = axis ? "helix" : "circle";
        coil.words = axis
                         ? fmt::format("a helix of {:.1f} turns about an axis that rises {:.1f} of its radii",
                                       turns, coil.rise)
                         : fmt::format("a circle of {:.1f} turns: no axis rises out of its plane", turns);
    } else if (coil.p_turning <= options.level && coil.share < kOneCoil) {
        coil.shape = "several";
        coil.words =
            fmt::format("{}a coil of several frequencies ({} turns); the strongest holds {:.0f} % of it",
                        line, frequencies, 100 * coil.share);
    } else if (coil.roundness < kRound && !coil.lines.empty() && coil.lines.front().share >= 0.5 &&
               coil.lines.front().turns >= kTurns) {
        coil.shape = "wave";
        coil.words = fmt::format("{}a flat wave of {:.1f} turns", line, coil.lines.front().turns);
    } else if (coil.line_r2 >= 0.5) {
        coil.shape = "line";
        coil.words = fmt::format("a line, which explains {:.0f} %, and no coil", 100 * coil.line_r2);
    } else {
        coil.words = "no coil beyond what random curves of its kind show";
    }
}

}  // namespace

TableRows comparable_positions(const Matrix& table) {
    TableRows rows{1, table.rows() - 1, {"position 0 (always)"}};
    if (rows.count < 1) return {0, 0, {"position 0 (always)"}};
    const VectorD norms = table.cast<double>().rowwise().norm();
    const double middle = median({norms.begin() + 1, norms.end()});
    const auto odd = [&](double norm) { return norm < 0.25 * middle || norm > 4 * middle; };
    const std::int64_t fewest = std::max<std::int64_t>(1, rows.count / 2);
    while (rows.count > fewest && odd(norms[rows.first + rows.count - 1])) --rows.count;
    if (const std::int64_t last = table.rows() - 1, end = rows.first + rows.count - 1; end < last)
        rows.left_out.push_back((end + 1 == last ? fmt::format("position {}", last)
                                                 : fmt::format("positions {} to {}", end + 1, last)) +
                                fmt::format(" (norm {:.3g}, median {:.3g})", norms[last], middle));
    return rows;
}

Coil measure_coil(const Matrix& curve, const CoilOptions& options) {
    Coil coil;
    if (curve.rows() < kFewest) {
        coil.why_not =
            fmt::format("{} positions are too few to tell a coil; {} are needed", curve.rows(), kFewest);
        return coil;
    }
    const MatrixD points = thin_curve(curve.cast<double>(), kMost);
    const MatrixD rest = detrended(points);
    const double scale = points.squaredNorm();
    if (!(rest.squaredNorm() > 1e-20 * scale)) {
        coil.why_not = "the positions are all equal or all on one line";
        if (scale > 0 && (points.rowwise() - points.colwise().mean()).squaredNorm() > 1e-20 * scale) {
            coil.shape = coil.words = "line";
            coil.line_r2 = 1;
        }
        return coil;
    }
    coil.points = points.rows();
    measure_recurrence(rest, static_cast<double>(curve.rows() / coil.points), coil);

    const MatrixD scores = reduced(points), path = detrended(scores);
    const TurningBasis basis(points.rows());
    const TurningBasis::Turning turning = basis.turning(path);
    const std::size_t at = best_frequency(turning);
    const Turn turn = describe_turn(basis, turning, path, at);
    coil.turning = turning.share[at];
    coil.share = turn.share;
    coil.frequency = basis.frequencies()[at];
    coil.turns = turn.winding.net;
    coil.one_way = turn.winding.total > 0 ? turn.winding.net / turn.winding.total : 0;
    coil.roundness = turn.roundness;
    measure_components(curve, points, basis, coil);
    const MatrixD cosines = basis.cosines(path);
    coil.lines = spectral_lines(cosines);
    const double radius = std::sqrt(coil.turning * path.squaredNorm() / static_cast<double>(path.rows()));
    judge_axis(scores, basis, turn, radius, coil);

    const CoilNull null = fit_coil_null(basis, path, 4 * coil.frequency);
    coil.p = coil.p_turning = 0;
    for (const Wandering kind : {Wandering::walk, Wandering::decaying, Wandering::smooth}) {
        const auto k = static_cast<std::size_t>(kind);
        const Chance of = chance(CoilSurrogates(null, kind, path.rows()), basis, turning, turn,
                                 mix(options.seed, 0xc011, k), options);
        coil.p_by_kind[k] = of.coil;
        coil.p = std::max(coil.p, of.coil);
        coil.p_turning = std::max(coil.p_turning, of.turning);
        coil.chance_turning = std::max(coil.chance_turning, of.usual);
    }
    if (turn.coiled() && coil.p < kHopeless) {
        coil.p_by_kind[3] =
            flat_chance(basis, path, turn, coil.turning * path.squaredNorm(), null.noise, options);
        coil.p = std::max(coil.p, coil.p_by_kind[3]);
    }
    name_shape(options, coil);
    return coil;
}

}  // namespace tomograph
