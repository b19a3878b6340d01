#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tomograph/base/rows.h"
#include "tomograph/linear/normalize.h"
#include "tomograph/select/row_labels.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Selected rows. Without averages they stay on disk and are read block by block; averages are in memory.
/// Rows cost no memory of their own: all sites share one list of stored rows, 8 bytes a token, and who the
/// rows are is looked up when it is asked for.
class SelectedRows final : public RowSource {
  public:
    std::int64_t n_rows() const override { return n_rows_; }
    std::int64_t dim() const override { return dim_; }
    void read(std::int64_t begin, std::int64_t end, float* out) const override;
    /// The same before they are normalised, for whoever does that by the way; averages as they are, and rows
    /// of scores normalised, since that is by lengths that only the run knows.
    void read_raw(std::int64_t begin, std::int64_t end, float* out) const;
    /// How read() normalises what read_raw() gives.
    Normalize normalize() const {
        return averages_.size() > 0 || from_scores_ ? Normalize::none : normalize_;
    }
    const float* data() const override { return averages_.size() > 0 ? averages_.data() : nullptr; }

    /// Who all rows are: 36 bytes a row, made when first asked for.
    const RowLabels& labels() const;
    /// Who rows [begin, end) are. Without averages these are looked up, and nothing is kept.
    RowLabels labels(std::int64_t begin, std::int64_t end) const;
    /// What the rows were read from, each once, in the order of their first row.
    std::vector<Site> sites() const;
    /// "blocks.3.attn_out, token 17 (sequence 0, position 17)": for messages about one row. The site is the
    /// one that was read, whatever LayerOrder shows it as.
    std::string describe(std::int64_t row) const;
    /// How many rows there were before `rows` cut them.
    std::int64_t n_candidates() const { return n_candidates_; }

    /// The same without some rows; `rows` ascending.
    SelectedRows without(const std::vector<std::int64_t>& rows) const;

  private:
    friend class Selecting;
    /// Row numbers in the run, ascending.
    using StoredList = std::shared_ptr<const std::vector<std::int64_t>>;
    /// Consecutive selected rows that come from one site.
    struct Segment {
        std::int64_t first;  // among the selected rows
        Site site;
        std::int32_t shown_layer;
        StoredList stored;
    };
    /// Of all rows: averages have them from the beginning, others once somebody has asked.
    struct Labels {
        std::once_flag made;
        RowLabels all;
    };

    const Segment& segment_of(std::int64_t row) const;

    const Run* run_ = nullptr;
    Normalize normalize_ = Normalize::none;
    std::int64_t n_rows_ = 0;
    std::int64_t dim_ = 0;
    std::int64_t n_candidates_ = 0;
    bool renumbered_ = false, from_scores_ = false;
    std::vector<Segment> segments_;
    Matrix averages_;
    std::shared_ptr<Labels> labels_;
};

}  // namespace tomograph
