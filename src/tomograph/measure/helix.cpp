#include "tomograph/measure/helix.h"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "tomograph/measure/statistics.h"

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

}  // namespace

HelixFitter::HelixFitter(std::int64_t length) {
    const auto n = static_cast<Eigen::Index>(length);
    if (n < 8) return;
    Eigen::VectorXd t = Eigen::VectorXd::LinSpaced(n, 0, static_cast<double>(n - 1));
    const Eigen::VectorXd line = (t.array() - t.mean()).matrix().normalized();
    line_ = line.cast<float>();
    for (double turns = 1; turns <= 0.5 * static_cast<double>(n) - 0.5; turns += 0.1) {
        const double w = 2 * std::numbers::pi * turns / static_cast<double>(n);
        Eigen::MatrixXd basis(n, 4);
        basis << Eigen::VectorXd::Ones(n), line, (w * t).array().cos().matrix(), (w * t).array().sin().matrix();
        const Eigen::MatrixXd q = Eigen::HouseholderQR<Eigen::MatrixXd>(basis).householderQ() * Eigen::MatrixXd::Identity(n, 4);
        turns_.push_back(turns);
        bases_.push_back(q.rightCols(2).transpose().cast<float>());
    }
}

double HelixFitter::r2(const MatrixD& curve) const {
    const Matrix y = leading(curve);
    const double total = y.cast<double>().squaredNorm();
    if (bases_.empty() || !(total > 0)) return kNoNumber;
    double best = 0;
    for (const Matrix& basis : bases_) best = std::max(best, static_cast<double>((basis * y).squaredNorm()));
    return ((line_.transpose() * y).squaredNorm() + best) / total;
}

HelixFit HelixFitter::fit(const MatrixD& curve) const {
    HelixFit fit{kNoNumber, kNoNumber, kNoNumber, kNoNumber, kNoNumber, "none"};
    const Matrix y = leading(curve);
    const double total = y.cast<double>().squaredNorm();
    if (bases_.empty() || !(total > 0)) return fit;
    const Eigen::Index n = y.rows();
    double best = -1, best_circle = 0;
    std::size_t at = 0;
    const Eigen::ArrayXd t = Eigen::ArrayXd::LinSpaced(n, 0, static_cast<double>(n - 1));
    const MatrixD exact = y.cast<double>();
    const auto waves = [&](double turns) {
        const double w = 2 * std::numbers::pi * turns / static_cast<double>(n);
        Eigen::MatrixXd basis(n, 3);
        basis << Eigen::VectorXd::Ones(n), (w * t).cos().matrix(), (w * t).sin().matrix();
        return basis;
    };
    for (std::size_t i = 0; i < bases_.size(); ++i) {
        const double explained = (bases_[i] * y).squaredNorm();
        if (explained > best) {
            best = explained;
            at = i;
        }
        const Eigen::MatrixXd basis = waves(turns_[i]);
        const Eigen::MatrixXd q = Eigen::HouseholderQR<Eigen::MatrixXd>(basis).householderQ() * Eigen::MatrixXd::Identity(n, 3);
        best_circle = std::max(best_circle, (q.transpose() * exact).squaredNorm());
    }
    fit.line_r2 = (line_.transpose() * y).squaredNorm() / total;
    fit.r2 = fit.line_r2 + best / total;
    fit.circle_r2 = best_circle / total;
    fit.turns = turns_[at];
    Eigen::MatrixXd basis(n, 4);
    basis << waves(fit.turns), line_.cast<double>();
    const Eigen::MatrixXd coefficients = basis.colPivHouseholderQr().solve(exact);  // [4, k]
    const Eigen::VectorXd singular = Eigen::JacobiSVD<Eigen::MatrixXd>(coefficients.middleRows(1, 2)).singularValues();
    fit.circularity = singular.size() > 1 && singular[0] > 0 ? singular[1] / singular[0] : 0;

    const bool line = fit.r2 - fit.circle_r2 >= kTerm, wave = fit.r2 - fit.line_r2 >= kTerm;
    if (fit.r2 < 0.5) fit.shape = "none";
    else if (line && wave) fit.shape = fit.circularity >= kCircular ? "helix" : "wave";
    else if (wave) fit.shape = fit.circularity >= kCircular ? "circle" : "wave";
    else fit.shape = "line";
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
                const auto angle = -2 * std::numbers::pi * static_cast<double>((f + 1) * t % n) / static_cast<double>(n);
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
            const double phase = std::abs(std::arg(spectrum(top, a) * std::conj(spectrum(top, b)))) * 180 / std::numbers::pi;
            pairs.push_back({a, b, power.sum() > 0 ? most / power.sum() : 0, static_cast<double>(top + 1), phase});
        }
    }
    return pairs;
}

}  // namespace tomograph
