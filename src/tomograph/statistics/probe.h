#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

struct ProbeOptions {
    /// Ridge penalty, added to the diagonal of the centred second moments. Larger shrinks the probe. Default
    /// 1, meant for unit rows.
    double alpha = 1;
    int threads = 1;
};

/// Out-of-fold decision values [n, m] of m linear probes on rows x [n, d]: each fold is decided by a ridge
/// fit to all others, in closed form with an intercept, as sklearn.linear_model.RidgeClassifier under a
/// PredefinedSplit. `labels` [n, m] hold -1 or 1, a column a probe; `fold` [n] from 0. Folds should hold
/// whole sequences: tokens of one sequence resemble each other.
Matrix probe_decisions(const Matrix& x, const Matrix& labels, std::span<const std::int32_t> fold,
                       const ProbeOptions& options = {});

/// Mean of the two classes' hit rates; chance is 0.5 whatever their sizes. `weights` [n] as elsewhere; empty:
/// each row once. kNoNumber where a class is empty.
double balanced_accuracy(const Eigen::Ref<const Vector>& decisions, const Eigen::Ref<const Vector>& labels,
                         std::span<const double> weights = {});

/// Mean over the classes of the share of their rows whose largest decision is their own, of decisions [n, k]
/// and labels [n] from 0; chance is 1 / k whatever their sizes. `weights` as above. kNoNumber where a class
/// is empty.
double class_accuracy(const Eigen::Ref<const Matrix>& decisions, std::span<const std::int32_t> labels,
                      std::span<const double> weights = {});

}  // namespace tomograph
