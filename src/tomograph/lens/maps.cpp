#include "tomograph/lens/maps.h"

#include <cmath>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/findings/sample.h"

namespace tomograph {
namespace {

constexpr std::int64_t kFewestMapRows = 32;

/// Rows [x, y]: a site's levelled vectors and what the last norm gives at the same tokens.
class PairRows final : public RowSource {
  public:
    PairRows(const Run& run, const Site& site, std::span<const std::int64_t> rows, const Matrix& normed,
             std::int64_t first)
        : run_(run), site_(site), rows_(rows), normed_(normed), first_(first) {}
    std::int64_t n_rows() const override { return static_cast<std::int64_t>(rows_.size()); }
    std::int64_t dim() const override { return run_.site(site_).width() + normed_.cols(); }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        const std::vector<std::int64_t> wanted(rows_.begin() + begin, rows_.begin() + end);
        Matrix x = read_sample(run_, site_, wanted);
        level_rows(x);
        Eigen::Map<Matrix> pairs(out, end - begin, dim());
        pairs.leftCols(x.cols()) = x;
        pairs.rightCols(normed_.cols()) = normed_.middleRows(first_ + begin, end - begin);
    }

  private:
    const Run& run_;
    const Site& site_;
    std::span<const std::int64_t> rows_;
    const Matrix& normed_;
    std::int64_t first_;  // row of normed_ that the first of rows_ has
};

}  // namespace

void level_rows(Matrix& rows) {
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        const double square = rows.row(i).cast<double>().squaredNorm() / static_cast<double>(rows.cols());
        if (square > 0) rows.row(i) *= static_cast<float>(1 / std::sqrt(square));
    }
}

MapFitter::MapFitter(const Run& run, std::vector<std::int64_t> rows, const Site& last, ModelHead& head,
                     int threads)
    : run_(run), rows_(std::move(rows)), threads_(threads) {
    if (std::ssize(rows_) < kFewestMapRows)
        throw Error("too few tokens to fit a ridge lens on",
                    std::to_string(rows_.size()) + " stored ones that are no sinks in half of the sequences",
                    "read more or longer sequences");
    normed_ = head.norm(read_sample(run, last, rows_));
}

AffineMap MapFitter::fit(const Site& site, Progress& progress) const {
    const std::size_t n = rows_.size() - rows_.size() / 4;
    const std::span<const std::int64_t> all(rows_);
    const auto moments = [&](std::span<const std::int64_t> rows, std::size_t first) {
        return compute_moments(PairRows(run_, site, rows, normed_, static_cast<std::int64_t>(first)),
                               {.threads = threads_});
    };
    const Moments fitted = moments(all.first(n), 0), held_out = moments(all.subspan(n), n);
    if (progress.stop_requested()) throw Stopped("nothing was measured");
    return fit_ridge(fitted, held_out, run_.site(site).width());
}

}  // namespace tomograph
