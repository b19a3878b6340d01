#include "tomograph/statistics/phases.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

namespace tomograph {
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
