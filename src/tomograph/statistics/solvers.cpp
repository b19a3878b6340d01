#include "tomograph/statistics/solvers.h"

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>

namespace tomograph {

SymmetricEigen symmetric_eigen(const Eigen::MatrixXd& matrix) {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(matrix);
    return {solver.eigenvalues(), solver.eigenvectors()};
}

Eigen::MatrixXd left_singular_vectors(const Eigen::MatrixXd& matrix) {
    return Eigen::JacobiSVD<Eigen::MatrixXd>(matrix, Eigen::ComputeFullU).matrixU();
}

VectorD singular_values(const Eigen::MatrixXd& matrix) {
    return Eigen::JacobiSVD<Eigen::MatrixXd>(matrix).singularValues();
}

}  // namespace tomograph
