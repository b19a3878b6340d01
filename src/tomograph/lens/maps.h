#pragma once
// Ridge lenses of a run's sites. For use inside lens/ only.
#include <cstdint>
#include <vector>

#include "tomograph/lens/head.h"
#include "tomograph/linear/ridge.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Each row divided by its root mean square, which the model's last norm would do away with, too: so that no
/// row counts for more by its length. Rows of zeros stay.
void level_rows(Matrix& rows);

/// Fits maps from a site's levelled rows to what the last norm gives at the same tokens.
class MapFitter {
  public:
    /// `rows`: stored rows of the run, ascending. `run` and `head` must outlive it.
    MapFitter(const Run& run, std::vector<std::int64_t> rows, const Site& last, ModelHead& head, int threads);

    /// On three quarters of the rows, the penalty chosen on the last one, and then on all.
    AffineMap fit(const Site& site, Progress& progress) const;
    const std::vector<std::int64_t>& rows() const { return rows_; }

  private:
    const Run& run_;
    std::vector<std::int64_t> rows_;
    Matrix normed_;  // [rows, d_model]
    int threads_;
};

}  // namespace tomograph
