#include "tomograph/statistics/subspaces.h"

#include <algorithm>

namespace tomograph {

double subspace_overlap(const MatrixD& a, const MatrixD& b) {
    return (a * b.transpose()).squaredNorm() / static_cast<double>(std::min(a.rows(), b.rows()));
}

double random_overlap(std::int64_t k_a, std::int64_t k_b, std::int64_t d) {
    return static_cast<double>(std::max(k_a, k_b)) / static_cast<double>(d);
}

}  // namespace tomograph
