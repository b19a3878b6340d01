#pragma once
#include <Eigen/Core>
#include <cstdint>

namespace tomograph {

/// Row-major everywhere: a row is one vector of the model. float32 data, float64 accumulation.
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixView = Eigen::Map<const Matrix>;
using MatrixD = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXf;
using VectorD = Eigen::VectorXd;

}  // namespace tomograph
