#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/range.h"
#include "tomograph/linear/normalize.h"
#include "tomograph/select/selected_rows.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Layers under other numbers, as a control: structure that survives it is not the layers'. Only what
/// RowLabels::layer says changes; filters, messages and RowLabels::site() go by the layers' own numbers.
enum class LayerOrder {
    given,
    reversed,
    swapped,  ///< each layer of even number and the next change places; an odd one left at the end stays
    random,
};

/// What Selection::rows keeps some of.
enum class Sample {
    tokens,  ///< whole ones: what is kept of a token is kept of it at every site, so that its way has no gaps
    rows,    ///< each row by itself, as projections of older programs were made
};

/// Only tokens whose entry in a further column (Run::columns()) is one of these: words of it, or of a column
/// of numbers, ranges of them ("3", "0:2").
struct ColumnFilter {
    std::string column;
    std::vector<std::string> values;
    bool operator==(const ColumnFilter&) const = default;
};

/// The one language for "which vectors". Read as: of these sites, positions, sequences and labels take the
/// rows; normalise each; average over what `mean_*` names; keep at most `rows` of them.
struct Selection {
    std::vector<Component> components;  ///< empty: every captured one that is d_model wide, but z
    Range layers;                       ///< of sites in blocks
    /// Bounds from the end count from each sequence's own; averages over samples are then taken at the same
    /// distance from the end, and stand under the longest sequence's positions.
    Range positions;
    Range sequences;
    std::vector<std::string> labels;  ///< empty: all tokens, labelled or not
    std::vector<ColumnFilter> where;  ///< a token passes all of them
    Normalize normalize = Normalize::none;
    bool mean_samples = false;    ///< average over sequences
    bool mean_positions = false;  ///< average over positions
    bool mean_layers = false;     ///< average over layers
    /// Average over components: all sites of a layer are one, and stand under the last of them.
    bool mean_components = false;
    std::int64_t rows = 0;  ///< at most so many, chosen by seed; 0: all
    Sample sample = Sample::tokens;
    std::uint64_t seed = 42;  ///< for `rows` and for LayerOrder::random
    LayerOrder layer_order = LayerOrder::given;

    bool averages() const { return mean_samples || mean_positions || mean_layers || mean_components; }
    Json json() const;
};

/// `run` must outlive the result.
/// Errors: Error when a component, layer, position, label or column does not exist (it says which do), when
/// components have different widths, when `rows` is negative or holds no token whole, when the run keeps no
/// vectors and the selection needs them, or when nothing is left.
SelectedRows select(const Run& run, const Selection& selection);

/// The captured sites that a selection's components and layers name, all of one width. Errors: as select().
std::vector<SiteShape> selected_sites(const Run& run, const Selection& selection);

/// Errors: Error for an unknown word. "none", "unit", "layernorm".
Normalize parse_normalize(const std::string& text);
/// "given", "reversed", "swapped", "random".
LayerOrder parse_layer_order(const std::string& text);
/// Comma-separated "samples,positions,layers,components" into the flags of `selection`.
void parse_means(const std::string& text, Selection& selection);
/// "role=user,assistant". Errors: Error where it names no column or no value.
ColumnFilter parse_where(const std::string& text);
/// Comma-separated component names. Errors: Error that lists the names there are.
std::vector<Component> parse_components(const std::string& text);

}  // namespace tomograph
