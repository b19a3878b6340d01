#include "tomograph/measure/compare.h"

#include <Eigen/SVD>

namespace tomograph {

double procrustes_distance(const Matrix& x, const Matrix& y) {
    MatrixD a = x.cast<double>(), b = y.cast<double>();
    a.rowwise() -= a.colwise().mean().eval();
    b.rowwise() -= b.colwise().mean().eval();
    const double norms = a.norm() * b.norm();
    if (!(norms > 0)) return kNoNumber;
    const Eigen::MatrixXd product = a.transpose() * b / norms;
    return 2 - 2 * Eigen::BDCSVD<Eigen::MatrixXd>(product).singularValues().sum();
}

}  // namespace tomograph
