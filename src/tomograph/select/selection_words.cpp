#include "tomograph/select/selection_words.h"

namespace tomograph {

Selection SelectionWords::selection() const {
    Selection selection;
    selection.components = parse_components(components);
    selection.layers = parse_range(layers, "layers");
    selection.positions = parse_range(positions, "positions");
    selection.sequences = parse_range(sequences, "sequences");
    selection.labels = labels;
    for (const std::string& one : where) selection.where.push_back(parse_where(one));
    selection.normalize = parse_normalize(normalize);
    parse_means(mean, selection);
    selection.rows = rows;
    selection.seed = seed;
    selection.layer_order = parse_layer_order(layer_order);
    return selection;
}

}  // namespace tomograph
