#pragma once
#include "tomograph/base/matrix.h"

namespace tomograph {

// Eigen's solvers for small dense matrices, compiled in one file: each costs ten seconds and more wherever it
// is used.

/// Of a symmetric matrix; values ascend, vectors stand in columns in the same order.
struct SymmetricEigen {
    VectorD values;           // [n]
    Eigen::MatrixXd vectors;  // [n, n]
};
SymmetricEigen symmetric_eigen(const Eigen::MatrixXd& matrix);

/// An orthonormal basis of the whole space whose first columns span those of `matrix` [d, k]. [d, d]
Eigen::MatrixXd left_singular_vectors(const Eigen::MatrixXd& matrix);

/// Descending.
VectorD singular_values(const Eigen::MatrixXd& matrix);

}  // namespace tomograph
