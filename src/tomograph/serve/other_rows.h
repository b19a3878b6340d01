#pragma once
#include <optional>
#include <string>
#include <vector>

#include "tomograph/serve/place.h"

namespace tomograph {

/// Other rows of a run on the axes of one of its maps, as a page names them: NAME@COMPONENTS@LAYERS, such as
/// "stream@mlp_out@5" or "stream@resid_post,mlp_out@:". No stored projection is called so.
struct OtherRows {
    std::string map;  ///< whose axes
    std::vector<Component> components;
    Range layers;  ///< the model's own, whatever the map shows them as
};

/// None: the name of an ordinary projection. Errors: Error for no name, component or range.
std::optional<OtherRows> parse_other_rows(const std::string& name);
/// The name of the map whose axes these are: the name itself of an ordinary projection. Errors: Error for
/// what can name none.
std::string map_of(const std::string& name);

/// Rows laid out at once at most; on a UMAP, whose places are found by neighbours, fewer.
inline constexpr std::int64_t kMostOthers = 1'000'000, kMostOthersOnUmap = 50'000;

/// The map's own tokens at other sites, normalised as the map's are, through the basis that was fitted to the
/// map's rows; on a UMAP by their nearest rows (Placer). A projection like any other, whose `info` has
/// `basis_of`, the shares of these rows' own variance along the axes as `explained_variance_ratio`, and those
/// of the rows that were fitted as `fitted_variance_ratio`. Where they would be too many, fewer tokens, and a
/// note says so. `key` tells one map from another (Placer). Errors: as select() and Placer::lay_out(); Error
/// for a map of equal rows, vectors of another width, and NaN or Inf.
Projection lay_out_others(const Run& run, const Projection& map, const std::string& name,
                          const OtherRows& others, Placer& placer, const std::string& key);

}  // namespace tomograph
