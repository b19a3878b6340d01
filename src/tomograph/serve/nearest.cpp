#include "tomograph/serve/nearest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/neighbors/row_products.h"
#include "tomograph/serve/columns.h"

namespace tomograph {
namespace {

/// Rows that one thread takes in one go, and of them as many as stay in its cache while they are compared.
constexpr std::int64_t kBlock = 2048, kPiece = 32;

bool nearer(const NearestRow& a, const NearestRow& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.row < b.row;
}

/// The k nearest of those that were offered.
class Best {
  public:
    explicit Best(int k) : k_(static_cast<std::size_t>(k)) {}
    /// What is farther is none of them.
    double worst() const {
        return rows_.size() < k_ ? std::numeric_limits<double>::infinity() : rows_.front().distance;
    }
    void offer(const NearestRow& row) {
        if (rows_.size() == k_) {
            if (!nearer(row, rows_.front())) return;
            std::pop_heap(rows_.begin(), rows_.end(), nearer);
            rows_.pop_back();
        }
        rows_.push_back(row);
        std::push_heap(rows_.begin(), rows_.end(), nearer);
    }
    const std::vector<NearestRow>& rows() const { return rows_; }

  private:
    std::size_t k_;
    std::vector<NearestRow> rows_;  // a heap, the farthest first
};

/// Squared distances from a query, from below: |q|^2 + |a|^2 - 2 q.a in float32, less what rounding may have
/// added to it. Enough to pass over nearly all rows without normalising them.
class LowerBound {
  public:
    LowerBound(const Vector& query, Normalize normalize)
        : normalize_(normalize),
          width_(static_cast<double>(query.size())),
          squares_(query.cast<double>().squaredNorm()),
          sum_(query.cast<double>().sum()),
          rounding_(static_cast<double>(std::numeric_limits<float>::epsilon()) * (width_ / 8 + 16)) {}

    /// Below zero where nothing can be said.
    double of(const RowProducts& row) const {
        const double squares = row.squares, dot = row.dot;
        if (!std::isfinite(squares) || !std::isfinite(dot)) return -1;
        switch (normalize_) {
            case Normalize::none:
                return squares_ + squares - 2 * dot - 2 * rounding_ * (squares_ + squares);
            case Normalize::unit:
                if (!(squares > std::numeric_limits<float>::min())) return -1;
                return squares_ + 1 - 2 * dot / std::sqrt(squares) - 4 * rounding_ * (squares_ + 1);
            case Normalize::layernorm: {
                const double mean = row.sum / width_, centred = squares - mean * row.sum;
                if (!(centred > 100 * rounding_ * squares) || !(squares > std::numeric_limits<float>::min()))
                    return -1;
                const double product = (dot - mean * sum_) * std::sqrt(width_ / centred);
                const double slack = 8 * rounding_ * (squares / centred) * (squares_ + width_);
                return squares_ + width_ - 2 * product - slack;
            }
        }
        return -1;
    }

  private:
    Normalize normalize_;
    double width_, squares_, sum_, rounding_;
};

/// `itself`: a row that is none of its neighbours; -1: there is none.
Nearest search(const SelectedRows& rows, const Vector& query, std::int64_t itself, int k,
               std::int64_t most_numbers) {
    const std::int64_t n = rows.n_rows();
    const std::int64_t dim = rows.dim();
    const std::int64_t n_blocks = (n + kBlock - 1) / kBlock;
    const std::int64_t affordable = std::max<std::int64_t>(1, most_numbers / (dim * kBlock));
    const std::int64_t stride = (n_blocks + affordable - 1) / affordable;
    const std::int64_t n_read = (n_blocks + stride - 1) / stride;
    const LowerBound bound(query, rows.normalize());

    std::vector<std::vector<NearestRow>> best(static_cast<std::size_t>(n_read));
    parallel_for(n_read, thread_count(0), [&](std::int64_t i) {
        const std::int64_t begin = i * stride * kBlock, end = std::min(n, begin + kBlock);
        Matrix piece(std::min(kPiece, end - begin), dim);
        std::array<RowProducts, kPiece> products;
        Best found(k);
        for (std::int64_t first = begin; first < end; first += kPiece) {
            const std::int64_t count = std::min(kPiece, end - first);
            rows.read_raw(first, first + count, piece.data());
            row_products(query.data(), piece.data(), dim, count, products.data());
            for (std::int64_t r = 0; r < count; ++r) {
                const double lowest = bound.of(products[static_cast<std::size_t>(r)]);
                if (lowest > found.worst() * found.worst() || first + r == itself) continue;
                normalize_rows(rows.normalize(), piece.row(r).data(), 1, dim);
                const double distance = (piece.row(r).transpose() - query).cast<double>().norm();
                if (std::isfinite(distance)) found.offer({first + r, distance});
            }
        }
        best[static_cast<std::size_t>(i)] = found.rows();
    });
    Nearest nearest;
    for (const auto& found : best) nearest.rows.insert(nearest.rows.end(), found.begin(), found.end());
    std::sort(nearest.rows.begin(), nearest.rows.end(), nearer);
    if (static_cast<int>(nearest.rows.size()) > k) nearest.rows.resize(static_cast<std::size_t>(k));
    for (std::int64_t i = 0; i < n_read; ++i)
        nearest.n_searched += std::min(n, i * stride * kBlock + kBlock) - i * stride * kBlock;
    return nearest;
}

}  // namespace

Json nearest_json(const Nearest& nearest) {
    Json json = {{"n_searched", nearest.n_searched}, {"rows", Json::array()}, {"distances", Json::array()}};
    for (const NearestRow& neighbor : nearest.rows) {
        json["rows"].push_back(neighbor.row);
        json["distances"].push_back(neighbor.distance);
    }
    return json;
}

SelectedRows rows_of(const Run& run, const Projection& projection) {
    SelectedRows rows = select(run, selection_of(projection));
    if (const auto left = projection.info.find("not_finite"); left != projection.info.end())
        rows = rows.without(left->get<std::vector<std::int64_t>>());
    if (rows.n_rows() != projection.points.rows() || rows.labels().token != projection.labels.token)
        throw Error("the run no longer gives the rows of this projection", "it was captured anew",
                    "project again");
    return rows;
}

Nearest nearest_rows(const SelectedRows& rows, std::int64_t row, int k, std::int64_t most_numbers) {
    if (row < 0 || row >= rows.n_rows()) throw Error("the projection has no such row", "", "");
    Vector query(rows.dim());
    rows.read(row, row + 1, query.data());
    return search(rows, query, row, k, most_numbers);
}

Nearest nearest_to(const SelectedRows& rows, const Vector& query, int k, std::int64_t most_numbers) {
    if (query.size() != rows.dim()) throw Error("this vector has another width than the rows", "", "");
    return search(rows, query, -1, k, most_numbers);
}

}  // namespace tomograph
