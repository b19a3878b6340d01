#pragma once
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/progress.h"
#include "tomograph/reduce/pca.h"
#include "tomograph/select/selection.h"

namespace tomograph {

struct ProjectionOptions {
    Selection selection;
    /// Scores to keep. Default 6.
    int dims = 6;
    /// Name of an earlier PCA projection of the run whose basis is used instead of a new fit; empty: fit.
    std::string basis_of;
    /// Subtract the fitted mean before projecting. Default true.
    bool center = true;
    int threads = 0;
};

/// Rows of a run in few dimensions, with who they are and how they were made: projections/NAME.safetensors
/// and NAME.json.
struct Projection {
    std::string name;
    Matrix points;           ///< [n, dims]
    RowLabels labels;        ///< [n]
    std::optional<Pca> pca;  ///< the fitted basis, of PCA projections
    Json info;               ///< method, selection, shapes, variance explained and other measures of honesty

    std::string method() const { return info.value("method", "?"); }
    /// The rows are equal up to rounding: nothing to draw. The points are all zero then.
    bool constant() const { return info.value("constant", false); }
};

/// Select, fit PCA (or reuse a fit), project. A selection whose variance is rounding noise is called constant
/// instead of being scaled up: below 1e-5 of the mean square for positions-only runs, where float16 noise is
/// all there may be, and below 1e-10 elsewhere. Errors: as select() and fit_pca(); NaN or Inf names the site
/// and the token.
Projection project_pca(const Run& run, const std::string& name, const ProjectionOptions& options,
                       Progress& progress = no_progress());

/// Errors: Error for a name that cannot be a file's.
void save_projection(const Run& run, const Projection& projection);
/// Errors: Error that lists the projections there are.
Projection load_projection(const Run& run, const std::string& name);
std::vector<std::string> projection_names(const Run& run);

/// Letters, digits, '-', '_' and '.', not first: a name is a file's. Errors: Error.
void check_projection_name(const std::string& name);

}  // namespace tomograph
