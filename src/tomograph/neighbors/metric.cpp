#include "tomograph/neighbors/metric.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/linear/finite.h"

namespace tomograph {

const char* metric_name(Metric metric) {
    switch (metric) {
        case Metric::cosine:
            return "cosine";
        case Metric::euclidean:
            return "euclidean";
        case Metric::correlation:
            return "correlation";
    }
    return "?";
}

Metric parse_metric(const std::string& name) {
    for (const auto metric : {Metric::cosine, Metric::euclidean, Metric::correlation}) {
        if (name == metric_name(metric)) return metric;
    }
    throw Error("no metric \"" + name + "\"", "", "use cosine, euclidean or correlation");
}

namespace {

/// Squares of larger differences, added up over some thousands of coordinates, leave float32.
constexpr float largest_comparable = 1e17f;

void require_comparable(const float* values, std::int64_t n) {
    const float largest = Eigen::Map<const Vector>(values, n).cwiseAbs().maxCoeff();
    if (largest <= largest_comparable) return;
    throw Error(fmt::format("rows that hold {:.1e} cannot be compared by euclidean distance", largest),
                "its square is beyond what float32 holds", "compare by cosine, or normalise them first");
}

}  // namespace

void PreparedSpace::prepare(const float* rows, std::int64_t n, float* out) const {
    const std::int64_t w = width();
    for (std::int64_t row = 0; row < n; ++row, rows += dim_, out += w) {
        std::copy_n(rows, dim_, out);
        std::fill(out + dim_, out + w, 0.0f);
        if (metric_ == Metric::euclidean) continue;
        Eigen::Map<Vector> vector(out, dim_);
        if (metric_ == Metric::correlation) {
            // A constant row has no direction; its rounding error must not become one.
            const bool constant = (vector.array() == vector[0]).all();
            vector.array() -= constant ? vector[0] : static_cast<float>(vector.cast<double>().mean());
        }
        const double norm = vector.cast<double>().norm();
        if (norm > 0) {
            for (std::int64_t i = 0; i < dim_; ++i) out[i] = static_cast<float>(out[i] / norm);
        } else {
            out[dim_] = 1;
        }
    }
}

void PreparedSpace::read(const RowSource& rows, std::int64_t begin, std::int64_t end, float* out) const {
    // Row by row through a small buffer: what was read is prepared while it is in the nearest cache.
    constexpr std::int64_t step = 32;
    FloatBuffer copy;
    if (!rows.data()) copy = make_float_buffer(step * dim_);
    for (std::int64_t row = begin; row < end; row += step) {
        const std::int64_t n = std::min(step, end - row);
        if (copy) rows.read(row, row + n, copy.get());
        const float* values = copy ? copy.get() : rows.data() + row * dim_;
        require_finite(values, n, dim_, row);
        if (metric_ == Metric::euclidean) require_comparable(values, n * dim_);
        prepare(values, n, out + (row - begin) * width());
    }
}

float PreparedSpace::distance(float squared) const {
    return metric_ == Metric::euclidean ? std::sqrt(squared) : squared / 2;
}

}  // namespace tomograph
