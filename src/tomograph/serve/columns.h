#pragma once
#include <map>
#include <memory>
#include <string>

#include "tomograph/base/json.h"
#include "tomograph/maps/projection.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Raw little-endian numbers of one kind, as a page maps them: no header, no copy.
struct Column {
    std::string dtype;  ///< "u8", "u16", "i16", "i32", "u32" or "f32"; "json": text, no numbers
    std::string bytes;
    std::string etag;  ///< quoted XXH3 of the bytes
};
using ColumnPtr = std::shared_ptr<const Column>;

/// A small JSON header and columns. docs/viewer.md describes the names.
struct ColumnSet {
    Json header;
    std::map<std::string, ColumnPtr> columns;
    std::size_t n_bytes() const;
};

ColumnPtr make_column(std::string dtype, std::string bytes);

/// A projection of a run as columns: axis0, axis1, ... (f32), norm (u16, logarithmic between header.norm.low
/// and high; 65535: zero or none), token (u16 differences inside a segment, or u32), and for rows that are
/// averages position, sequence and label (i32). Component and layer are run-length coded in header.segments.
/// Where the run keeps a router's vectors also expert (u8): the one to which the router gave most, at each
/// row's token and layer; 255: none. About 20 bytes a point of a projection shown in three axes.
///
/// Layers have the numbers under which the selection shows them. Where that is not their own
/// (--layer-order), header.layer_of is the layer behind each number, [n_layers]; -1: no row has it.
ColumnSet projection_columns(const Run& run, const Projection& projection);

/// A selection as its JSON says it. Errors: Error for what no selection says.
Selection selection_from_json(const Json& json);
/// The one that a projection was made with. Errors: as selection_from_json().
Selection selection_of(const Projection& projection);

/// A run's tokens: token_id (u16 or i32) and label (i16, where the run has labels); header.sequence_starts
/// stands for position and sequence. Should the table not be in that order they become columns (i32). Tokens
/// with text and no id have a token_id below -1, the same for the same text.
ColumnSet token_columns(const Run& run);

/// Text of every token_id of token_columns() but -1, safe for eyes: [[id, text], ...].
Json vocabulary_of(const Run& run);

/// Mean norm over sequences of a component, f32 [n_layers, length]; NaN where there is none.
ColumnPtr norm_map(const Run& run, Component component);
/// Components in blocks whose norms the run keeps.
std::vector<Component> norm_components(const Run& run);

}  // namespace tomograph
