#pragma once
#include <cstdint>

#include "tomograph/statistics/coil_turning.h"

namespace tomograph {

/// What random curves that resemble one are made of.
struct CoilNull {
    VectorD noise;      ///< [k] variance of white noise by component
    VectorD wandering;  ///< [k] variance of what is not noise
    double memory = 0;  ///< lag, in points, at which the autocorrelation of that falls to one half
};

/// From a detrended curve [n, k]. Only frequencies up to `turns` count as the curve's own: higher ones would
/// bring in the noise of many estimates.
CoilNull fit_coil_null(const TurningBasis& basis, const MatrixD& curve, double turns);

enum class Wandering { walk, decaying, smooth };

/// Draws detrended curves of one kind: Gaussian, each component with its own variance, and all with the
/// kind's autocorrelation: of a random walk, exp(-lag / l), or exp(-(lag / l)^2 / 2), where l is such that
/// the detrended curves have the memory that was fitted.
class CoilSurrogates {
  public:
    CoilSurrogates(const CoilNull& null, Wandering kind, Eigen::Index length);
    MatrixD draw(std::uint64_t seed) const;

  private:
    CoilNull null_;
    MatrixD root_;  // [n, rank] of the covariance, detrended, of mean variance 1
};

/// Lag at which a sequence of autocovariances [n] falls below half of its first, between points.
double half_lag(const VectorD& autocovariance);

}  // namespace tomograph
