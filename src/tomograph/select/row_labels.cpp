#include "tomograph/select/row_labels.h"

namespace tomograph {

void RowLabels::add(const RowLabel& row, bool with_true_layer) {
    component.push_back(row.site.component);
    layer.push_back(row.layer);
    if (with_true_layer) true_layer.push_back(row.site.layer);
    position.push_back(row.position);
    token.push_back(row.token);
    sequence.push_back(row.sequence);
    label.push_back(row.label);
    norm.push_back(row.norm);
}

RowLabels RowLabels::of(const std::vector<std::int64_t>& rows) const {
    RowLabels some;
    for (const std::int64_t row : rows) {
        const auto i = static_cast<std::size_t>(row);
        some.add({site(row), layer[i], position[i], token[i], sequence[i], label[i], norm[i]}, renumbered());
    }
    return some;
}

}  // namespace tomograph
