#include "tomograph/linear/normalize.h"

#include <cmath>

#include "tomograph/base/matrix.h"

namespace tomograph {

void normalize_rows(Normalize normalize, float* rows, std::int64_t n, std::int64_t dim) {
    if (normalize == Normalize::none) return;
    for (std::int64_t i = 0; i < n; ++i) {
        Eigen::Map<Eigen::ArrayXf> row(rows + i * dim, dim);
        if (normalize == Normalize::layernorm) row -= static_cast<float>(row.cast<double>().mean());
        const double squares = row.cast<double>().square().sum();
        const double scale =
            normalize == Normalize::unit ? std::sqrt(squares) : std::sqrt(squares / static_cast<double>(dim));
        if (scale > 0) row /= static_cast<float>(scale);
    }
}

}  // namespace tomograph
