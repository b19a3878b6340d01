#include "tomograph/linear/spread.h"

#include <algorithm>

#include "tomograph/base/threads.h"
#include "tomograph/linear/finite.h"

namespace tomograph {
namespace {

/// Parts that are summed apart: as many as memory has room for, whatever the number of threads.
constexpr std::int64_t most_parts = 256;
constexpr std::int64_t read_rows = 256;

}  // namespace

Spread measure_spread(const RowSource& rows, int threads) {
    const std::int64_t n = rows.n_rows(), dim = rows.dim();
    if (n == 0) return {};
    const std::int64_t part_rows = std::max(read_rows, (n + most_parts - 1) / most_parts);
    const std::int64_t n_parts = (n + part_rows - 1) / part_rows;
    // Deviations from the first row: a mean far larger than they are costs no digits.
    Vector first(dim);
    rows.read(0, 1, first.data());
    MatrixD sums = MatrixD::Zero(n_parts, dim);
    VectorD squares = VectorD::Zero(n_parts);
    parallel_for(n_parts, thread_count(threads), [&](std::int64_t part) {
        const std::int64_t part_end = std::min((part + 1) * part_rows, n);
        Matrix block(std::min(read_rows, part_rows), dim);
        for (std::int64_t begin = part * part_rows; begin < part_end; begin += read_rows) {
            const std::int64_t end = std::min(begin + read_rows, part_end);
            rows.read(begin, end, block.data());
            require_finite(block.data(), end - begin, dim, begin);
            for (std::int64_t row = 0; row < end - begin; ++row) {
                const VectorD deviation = block.row(row).transpose().cast<double>() - first.cast<double>();
                sums.row(part) += deviation;
                squares[part] += deviation.squaredNorm();
            }
        }
    });
    const auto count = static_cast<double>(n);
    const VectorD sum = sums.colwise().sum();
    Spread spread;
    spread.total_variance =
        n > 1 ? std::max(squares.sum() - sum.squaredNorm() / count, 0.0) / (count - 1) : 0.0;
    spread.mean_square = (first.cast<double>() + sum / count).squaredNorm() + spread.total_variance;
    return spread;
}

}  // namespace tomograph
