#include "tomograph/statistics/helix.h"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr int kComponents = 3;  // a helix lives in three
// Below this share of the curve's variance, a term of the fit does not count as present.
constexpr double kTerm = 0.05;
constexpr double kCircular = 0.3;

Matrix leading(const MatrixD& curve) {
    MatrixD part = curve.leftCols(std::min<Eigen::Index>(kComponents, curve.cols()));
    part.rowwise() -= part.colwise().mean().eval();
    return part.cast<float>();
}

Eigen::VectorXd unit_line(Eigen::Index n) {
    const Eigen::ArrayXd t = Eigen::ArrayXd::LinSpaced(n, 0, static_cast<double>(n - 1));
    return (t - t.mean()).matrix().normalized();
}

/// 1, cos and sin at a frequency, [n, 3].
Eigen::MatrixXd waves(Eigen::Index n, double turns) {
    const Eigen::ArrayXd angle = 2 * std::numbers::pi * turns / static_cast<double>(n) *
                                 Eigen::ArrayXd::LinSpaced(n, 0, static_cast<double>(n - 1));
    Eigen::MatrixXd basis(n, 3);
    basis << Eigen::VectorXd::Ones(n), angle.cos().matrix(), angle.sin().matrix();
    return basis;
}

/// cos and sin made orthonormal to 1, to the line and to each other, [2, n].
Matrix wave_basis(Eigen::Index n, double turns) {
    const Eigen::MatrixXd raw = waves(n, turns);
    Eigen::MatrixXd basis(n, 4);
    basis << raw.col(0), unit_line(n), raw.rightCols(2);
    const Eigen::MatrixXd q =
        Eigen::HouseholderQR<Eigen::MatrixXd>(basis).householderQ() * Eigen::MatrixXd::Identity(n, 4);
    return q.rightCols(2).transpose().cast<float>();
}

}  // namespace

HelixFitter::HelixFitter(std::int64_t length) {
    const auto n = static_cast<Eigen::Index>(length);
    if (n < 8) return;
    line_ = unit_line(n).cast<float>();
    for (double turns = 1; turns <= 0.5 * static_cast<double>(n) - 0.5; turns += 0.25) {
        turns_.push_back(turns);
        bases_.push_back(wave_basis(n, turns));
    }
}

HelixFitter::Best HelixFitter::search(const Matrix& curve) const {
    const auto explained = [&](const Matrix& basis) {
        return static_cast<double>((basis * curve).squaredNorm());
    };
    Best best{-1, 0};
    for (std::size_t i = 0; i < bases_.size(); ++i) {
        if (const double value = explained(bases_[i]); value > best.explained) best = {value, turns_[i]};
    }
    // A peak over w is about a turn wide and has one top.
    constexpr double kGolden = 0.6180339887498949;
    double low = std::max(turns_.front(), best.turns - 0.25),
           high = std::min(turns_.back(), best.turns + 0.25);
    double left = high - kGolden * (high - low), right = low + kGolden * (high - low);
    double at_left = explained(wave_basis(curve.rows(), left)),
           at_right = explained(wave_basis(curve.rows(), right));
    for (int i = 0; i < 12; ++i) {
        if (at_left > at_right) {
            high = right;
            right = left;
            at_right = at_left;
            left = high - kGolden * (high - low);
            at_left = explained(wave_basis(curve.rows(), left));
        } else {
            low = left;
            left = right;
            at_left = at_right;
            right = low + kGolden * (high - low);
            at_right = explained(wave_basis(curve.rows(), right));
        }
    }
    if (at_left > best.explained) best = {at_left, left};
    if (at_right > best.explained) best = {at_right, right};
    return best;
}

double HelixFitter::r2(const MatrixD& curve) const {
    const Matrix y = leading(curve);
    const double total = y.cast<double>().squaredNorm();
    if (bases_.empty() || !(total > 0)) return kNoNumber;
    return ((line_.transpose() * y).squaredNorm() + search(y).explained) / total;
}

HelixFit HelixFitter::fit(const MatrixD& curve) const {
    HelixFit fit{kNoNumber, kNoNumber, kNoNumber, kNoNumber, kNoNumber, "none"};
    const Matrix y = leading(curve);
    const double total = y.cast<double>().squaredNorm();
    if (bases_.empty() || !(total > 0)) return fit;
    const Eigen::Index n = y.rows();
    const MatrixD exact = y.cast<double>();
    const Best best = search(y);
    double best_circle = 0;
    std::vector<double> candidates = turns_;
    candidates.push_back(best.turns);
    for (const double turns : candidates) {
        const Eigen::MatrixXd q = Eigen::HouseholderQR<Eigen::MatrixXd>(waves(n, turns)).householderQ() *
                                  Eigen::MatrixXd::Identity(n, 3);
        best_circle = std::max(best_circle, (q.transpose() * exact).squaredNorm());
    }
    fit.line_r2 = (line_.transpose() * y).squaredNorm() / total;
    fit.r2 = fit.line_r2 + best.explained / total;
    fit.circle_r2 = best_circle / total;
    fit.turns = best.turns;
    Eigen::MatrixXd basis(n, 4);
    basis << waves(n, fit.turns), line_.cast<double>();
    const Eigen::MatrixXd coefficients = basis.colPivHouseholderQr().solve(exact);  // [4, k]
    const Eigen::VectorXd singular =
        Eigen::JacobiSVD<Eigen::MatrixXd>(coefficients.middleRows(1, 2)).singularValues();
    fit.circularity = singular.size() > 1 && singular[0] > 0 ? singular[1] / singular[0] : 0;

    const bool line = fit.r2 - fit.circle_r2 >= kTerm, wave = fit.r2 - fit.line_r2 >= kTerm;
    if (fit.r2 < 0.5)
        fit.shape = "none";
    else if (line && wave)
        fit.shape = fit.circularity >= kCircular ? "helix" : "wave";
    else if (wave)
        fit.shape = fit.circularity >= kCircular ? "circle" : "wave";
    else
        fit.shape = "line";
    return fit;
}

std::vector<PairPhase> pair_phases(const MatrixD& curve, int components) {
    const Eigen::Index n = curve.rows();
    const auto k = static_cast<int>(std::min<Eigen::Index>(components, curve.cols()));
    std::vector<PairPhase> pairs;
    if (n < 8) return pairs;
    Eigen::VectorXd line = Eigen::VectorXd::LinSpaced(n, -1, 1);
    line.normalize();
    MatrixD rest = curve.leftCols(k);
    rest.rowwise() -= rest.colwise().mean().eval();
    rest -= line * (line.transpose() * rest);
    const Eigen::Index n_frequencies = n / 2;
    Eigen::MatrixXcd spectrum(n_frequencies, k);  // frequency f + 1 turns
    for (Eigen::Index f = 0; f < n_frequencies; ++f) {
        for (int c = 0; c < k; ++c) {
            std::complex<double> sum = 0;
            for (Eigen::Index t = 0; t < n; ++t) {
                const auto angle =
                    -2 * std::numbers::pi * static_cast<double>((f + 1) * t % n) / static_cast<double>(n);
                sum += rest(t, c) * std::polar(1.0, angle);
            }
            spectrum(f, c) = sum;
        }
    }
    for (int a = 0; a < k; ++a) {
        for (int b = a + 1; b < k; ++b) {
            const Eigen::ArrayXd power = spectrum.col(a).array().abs2() + spectrum.col(b).array().abs2();
            Eigen::Index top = 0;
            const double most = power.maxCoeff(&top);
            const double phase =
                std::abs(std::arg(spectrum(top, a) * std::conj(spectrum(top, b)))) * 180 / std::numbers::pi;
            pairs.push_back(
                {a, b, power.sum() > 0 ? most / power.sum() : 0, static_cast<double>(top + 1), phase});
        }
    }
    return pairs;
}

}  // namespace tomograph
