#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/range.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// What is done to a site's value x, at the tokens and in the coordinates that an act chooses.
enum class ActKind {
    zero,         ///< becomes 0
    mean,         ///< becomes the mean of x over the chosen tokens of all sequences, without the act
    resample,     ///< becomes another sequence's x at the same position
    project_out,  ///< loses its part along the directions
    clamp,        ///< its part along each unit direction becomes `strength`
    add,          ///< gains `strength` times each direction, as long as the direction is
    patch,        ///< becomes the x of another prompt or run at the same position
    /// Turns by `strength` degrees in the planes of 2 k directions, from each of the first k to its partner
    /// among the others; 90 lays the first k's span on the others'.
    rotate,
};
std::string_view act_name(ActKind kind);

/// One change of what a model computes. docs/interventions.md describes the file that lists them.
struct Act {
    ActKind kind = ActKind::zero;
    Site site{Component::resid_post, 0};
    std::vector<int> heads;                 ///< of z; empty: all
    std::vector<std::int64_t> coordinates;  ///< of the value; empty: all (of the heads)
    Range positions;                        ///< bounds from the end count from each sequence's own
    std::string label;                      ///< only tokens with this label; empty: all
    /// [k, coordinates], in memory as given. Where zero, mean, resample or patch have directions, only the
    /// part of x within their span changes.
    Matrix directions;
    /// How much of the change is made: 1 all of it, 0 none. For clamp, add and rotate see there.
    double strength = 1;
    std::string from;        ///< patch: a text file or a run folder
    std::size_t number = 1;  ///< of the file's acts, as its faults are told
    Json json;               ///< as it was read: what run.json records
};

/// Reads {"acts": [...]}, in its order; an act of several sites (`blocks.*.mlp_out`, `blocks.3:9.mlp_out`)
/// gives one for each. `shapes` are the sites that the model has. Files named in it are relative to `folder`.
/// Errors: Error that names the act by its number, for an unknown key or word, a site or head that the model
/// lacks, a direction of another width or with NaN, and acts that lack what they need.
std::vector<Act> read_acts(const Json& spec, std::span<const SiteShape> shapes,
                           const std::filesystem::path& folder);

/// The columns of a site's value that an act changes, ascending.
std::vector<std::int64_t> columns_of(const Act& act, const SiteShape& shape);

/// A direction or several, [k, width]: rows of a .npy file, a control vector's direction for `layer` (F.gguf)
/// or another (F.gguf:N), or components of a PCA projection as RUN:PROJECTION:N (component N, counted from 1
/// as on the axes) or RUN:PROJECTION:A-B (all from A to B).
/// Errors: Error when there is no such file, layer, projection or component.
Matrix read_directions(const std::string& name, const std::filesystem::path& folder, int layer);

}  // namespace tomograph
