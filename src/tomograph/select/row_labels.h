#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/words/site.h"

namespace tomograph {

/// Who one row is: an entry of each column of RowLabels.
struct RowLabel {
    Site site;           ///< that was read; layer -1: outside blocks, or averaged over layers
    std::int32_t layer;  ///< under which it is shown
    std::int32_t position;
    std::int32_t token;
    std::int32_t sequence;
    std::int32_t label;
    float norm;
};

/// Who each selected row is. All vectors but true_layer have one entry a row.
struct RowLabels {
    std::vector<Component> component;
    std::vector<std::int32_t> layer;       ///< -1: outside blocks, or averaged over layers. As LayerOrder has
                                           ///< it: a control's numbers are not those of the sites
    std::vector<std::int32_t> true_layer;  ///< of the site that was read; empty where `layer` is just that
    std::vector<std::int32_t> position;    ///< -1: averaged over positions
    std::vector<std::int32_t> token;       ///< index into Run::tokens(); -1: an average
    std::vector<std::int32_t> sequence;    ///< -1: averaged over sequences
    std::vector<std::int32_t> label;       ///< -1: none. Of an average, that of all its rows that have one
    std::vector<float> norm;               ///< of the vector before normalising; of an average, its own

    std::int64_t size() const { return static_cast<std::int64_t>(component.size()); }
    /// Are layers shown under other numbers than their own?
    bool renumbered() const { return !true_layer.empty(); }
    /// The site that a row was read from, whatever number its layer is shown under.
    Site site(std::int64_t row) const {
        const auto i = static_cast<std::size_t>(row);
        return {component[i], renumbered() ? true_layer[i] : layer[i]};
    }
    /// `with_true_layer`: for all rows or for none.
    void add(const RowLabel& row, bool with_true_layer);
    /// Those of some rows.
    RowLabels of(const std::vector<std::int64_t>& rows) const;
};

}  // namespace tomograph
