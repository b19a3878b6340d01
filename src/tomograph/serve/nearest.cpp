#include "tomograph/serve/nearest.h"

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/serve/columns.h"

namespace tomograph {
namespace {

constexpr std::int64_t kBlock = 2048;

bool nearer(const NearestRow& a, const NearestRow& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.row < b.row;
}

/// `itself`: a row that is none of its neighbours; -1: there is none.
Nearest search(const SelectedRows& rows, const Vector& query, std::int64_t itself, int k,
               std::int64_t most_numbers) {
    const std::int64_t n = rows.n_rows();
    const std::int64_t dim = rows.dim();
    const std::int64_t n_blocks = (n + kBlock - 1) / kBlock;
    const std::int64_t affordable = std::max<std::int64_t>(1, most_numbers / (dim * kBlock));
    const std::int64_t stride = (n_blocks + affordable - 1) / affordable;
    const std::int64_t n_read = (n_blocks + stride - 1) / stride;

    std::vector<std::vector<NearestRow>> best(static_cast<std::size_t>(n_read));
    parallel_for(n_read, thread_count(0), [&](std::int64_t i) {
        const std::int64_t begin = i * stride * kBlock, end = std::min(n, begin + kBlock);
        Matrix block(end - begin, dim);
        rows.read(begin, end, block.data());
        const Vector distances = (block.rowwise() - query.transpose()).rowwise().squaredNorm();
        auto& found = best[static_cast<std::size_t>(i)];
        for (std::int64_t r = begin; r < end; ++r) {
            if (r != itself) found.push_back({r, std::sqrt(double{distances[r - begin]})});
        }
        const auto keep = std::min<std::ptrdiff_t>(k, static_cast<std::ptrdiff_t>(found.size()));
        std::partial_sort(found.begin(), found.begin() + keep, found.end(), nearer);
        found.resize(static_cast<std::size_t>(keep));
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
    if (rows.n_rows() != projection.points.rows() || rows.labels().token != projection.labels.token)
        throw Error("the run no longer gives the rows of this projection", "it was captured anew",
                    "project again");
    return rows;
}

Nearest nearest_rows(const Run& run, const Projection& projection, std::int64_t row, int k,
                     std::int64_t most_numbers) {
    if (row < 0 || row >= projection.points.rows()) throw Error("the projection has no such row", "", "");
    const SelectedRows rows = rows_of(run, projection);
    Vector query(rows.dim());
    rows.read(row, row + 1, query.data());
    return search(rows, query, row, k, most_numbers);
}

Nearest nearest_to(const Run& run, const Projection& projection, const Vector& query, int k,
                   std::int64_t most_numbers) {
    const SelectedRows rows = rows_of(run, projection);
    if (query.size() != rows.dim()) throw Error("this vector has another width than the rows", "", "");
    return search(rows, query, -1, k, most_numbers);
}

}  // namespace tomograph
