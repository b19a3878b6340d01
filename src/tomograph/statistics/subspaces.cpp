#include "tomograph/statistics/subspaces.h"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tomograph/base/random.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

/// Orthonormal columns that span the rows of `rows`, [d, rank].
Eigen::MatrixXd span_of_rows(const MatrixD& rows) {
    const Eigen::BDCSVD<Eigen::MatrixXd> svd(rows.transpose(), Eigen::ComputeThinU);
    const auto& values = svd.singularValues();
    Eigen::Index rank = 0;
    const double floor =
        values.size() > 0 ? values[0] * 1e-15 * static_cast<double>(std::max(rows.rows(), rows.cols())) : 0;
    while (rank < values.size() && values[rank] > floor) ++rank;
    return svd.matrixU().leftCols(rank);
}

Eigen::VectorXd singular_values(const Eigen::MatrixXd& m) {
    return Eigen::BDCSVD<Eigen::MatrixXd>(m).singularValues();
}

MatrixD random_basis(std::int64_t k, std::int64_t d, Rng& rng) {
    Eigen::MatrixXd columns(d, k);
    for (double& value : columns.reshaped()) value = rng.normal();
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(columns);
    return (qr.householderQ() * Eigen::MatrixXd::Identity(d, k)).transpose();
}

}  // namespace

std::vector<double> principal_angles(const MatrixD& a, const MatrixD& b) {
    Eigen::MatrixXd large = span_of_rows(a), small = span_of_rows(b);
    if (large.cols() < small.cols()) std::swap(large, small);
    if (small.cols() == 0) return {};
    const Eigen::MatrixXd products = large.transpose() * small;  // [k_large, k_small]
    const Eigen::VectorXd cosines = singular_values(products);   // descending: angles ascending
    const Eigen::VectorXd sines = singular_values(small - large * products).reverse();  // ascending
    std::vector<double> angles;
    for (Eigen::Index i = cosines.size() - 1; i >= 0; --i) {
        const double cosine = std::clamp(cosines[i], -1.0, 1.0), sine = std::clamp(sines[i], -1.0, 1.0);
        angles.push_back(cosine * cosine >= 0.5 ? std::asin(sine) : std::acos(cosine));
    }
    return angles;
}

double subspace_overlap(const MatrixD& a, const MatrixD& b) {
    return (a * b.transpose()).squaredNorm() / static_cast<double>(std::min(a.rows(), b.rows()));
}

double random_overlap(std::int64_t k_a, std::int64_t k_b, std::int64_t d) {
    return static_cast<double>(std::max(k_a, k_b)) / static_cast<double>(d);
}

double mean_angle(const MatrixD& a, const MatrixD& b) {
    const Eigen::VectorXd cosines = singular_values(a * b.transpose());
    if (cosines.size() == 0) return kNoNumber;
    double sum = 0;
    for (const double cosine : cosines) sum += std::acos(std::clamp(cosine, -1.0, 1.0));
    return sum / static_cast<double>(cosines.size());
}

double random_mean_angle(std::int64_t k_a, std::int64_t k_b, std::int64_t d, std::uint64_t seed, int draws) {
    Rng rng(mix(seed, 0x5b5));
    double sum = 0;
    for (int i = 0; i < draws; ++i) {
        // One of the two may be fixed: only their relative position counts.
        MatrixD fixed = MatrixD::Zero(k_a, d);
        fixed.leftCols(k_a).setIdentity();
        sum += mean_angle(fixed, random_basis(k_b, d, rng));
    }
    return sum / draws;
}

}  // namespace tomograph
