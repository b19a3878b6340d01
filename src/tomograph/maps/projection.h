#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/progress.h"
#include "tomograph/linear/pca.h"
#include "tomograph/maps/umap.h"
#include "tomograph/select/selection.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {

struct ProjectionOptions {
    Selection selection;
    /// Scores to keep. Default 6.
    int dims = 6;
    /// Name of an earlier PCA projection of the run whose basis is used instead of a new fit; empty: fit.
    std::string basis_of;
    /// Fit the axes to the moments that the run keeps of the selection's sites (select_moments()): of all
    /// their tokens, whichever rows are shown, and without reading a vector. Not beside basis_of. Where the
    /// run keeps no vectors, the points are its means over sequences, or, without these, the mean of each
    /// site. Default false.
    bool from_moments = false;
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
    Json info;  ///< method, selection, shapes, variance explained, other measures of honesty, and notes

    /// What the user should read, a sentence each: something could not be kept for a later map.
    std::vector<std::string> notes() const { return info.value("notes", std::vector<std::string>{}); }
    std::string method() const { return info.value("method", "?"); }
    /// The rows are equal up to rounding: nothing to draw. The points are all zero then.
    bool constant() const { return info.value("constant", false); }
};

/// Select, fit PCA (or reuse a fit), project. A selection whose variance is rounding noise, below 1e-5 of the
/// mean square, is called constant instead of being scaled up and taken for structure: a rotary model gives
/// one token repeated the same vector at every position.
/// Errors: as select(), select_moments() and fit_pca(); NaN or Inf names the site and the token.
Projection project_pca(const Run& run, const std::string& name, const ProjectionOptions& options,
                       Progress& progress = no_progress());

/// Which rows a map is fitted to.
enum class FitSample {
    cover,    ///< half of them uniform, half spread evenly over the space: covering_sample()
    uniform,  ///< each with the same chance
};
/// "cover", "uniform". Errors: Error for another word.
FitSample parse_fit_sample(const std::string& text);
const char* fit_sample_name(FitSample sample);

struct UmapProjectionOptions {
    Selection selection;
    /// Of a run's vectors the metric is cosine by default: their lengths differ by orders of magnitude, and
    /// what they say lies in their directions. The command line, a study and the viewer's page take this
    /// default from here.
    UmapOptions umap{.metric = Metric::cosine};
    /// Reduce the vectors to so many principal components first: faster, and less noise. 0: do not. Default
    /// 0.
    int pre_dims = 0;
    /// Fit the map on at most so many of the selected rows, chosen by seed, and place the others on it. 0:
    /// fit on all. Default 100,000.
    std::int64_t fit_rows = 100'000;
    /// Which ones. Default: those that cover, so that what is rare among the rows is not lost.
    FitSample fit_sample = FitSample::cover;
};

/// Rows that hold NaN or Inf have no place on a map and are left out of it; more of them are an Error.
inline constexpr std::int64_t kMostUnplaceable = 1000;

/// Select, fit UMAP, place the rows that were not fitted, and measure how far the map can be believed
/// (trustworthiness and neighbour recall, in the info). Rows that project_pca() would call constant are
/// called so here too, instead of being spread to a cloud of noise: all points are zero and nothing is
/// searched. The neighbours are kept in the run (neighbor_file.h); where they cannot be, a note says so and
/// the map is made. Rows that are not finite are left out: a note counts and names them, and the info has
/// their numbers among the selected rows. Errors: as select() and fit_umap(); more than kMostUnplaceable such
/// rows.
Projection project_umap(const Run& run, const std::string& name, const UmapProjectionOptions& options,
                        Progress& progress = no_progress());

/// The same, written as it is made: memory is that of the rows fitted, of a block of rows and of the run's
/// tokens, however many rows there are. The points are those of project_umap(). Returns the info. Errors:
/// also when the run's folder cannot be written, before anything is read.
Json project_umap_to_file(const Run& run, const std::string& name, const UmapProjectionOptions& options,
                          Progress& progress = no_progress());

/// A projection's file while it is made, row after row, in memory of what is put.
class ProjectionWriter {
  public:
    /// `pca`: the basis, or null. `renumbered`: of all labels. Errors: as save_projection().
    ProjectionWriter(const Run& run, const std::string& name, std::int64_t n_rows, std::int64_t dims,
                     bool renumbered, const Pca* pca = nullptr);
    /// The next rows. Errors: Error for points that are not finite, and when the disk is full.
    void put(const Matrix& points, const RowLabels& labels);
    /// All rows are there.
    void finish(const Json& info);

  private:
    std::string name_;
    std::filesystem::path described_;
    bool renumbered_;
    std::int64_t n_put_ = 0;
    std::unique_ptr<SafetensorsWriter> file_;
};

/// Errors: Error for a name that cannot be a file's, for points that are not finite, and when the folder
/// cannot be written.
void save_projection(const Run& run, const Projection& projection);
/// Errors: Error that lists the projections there are; Error when the file's parts do not fit each other
/// (points, labels, basis, mean, explained variance) or the run, or when it names a component that is not
/// known here.
Projection load_projection(const Run& run, const std::string& name);
std::vector<std::string> projection_names(const Run& run);
/// Errors: Error that lists the projections there are, when `name` is none.
void check_projection(const Run& run, const std::string& name);
/// Errors: as check_projection(); Error when the folder cannot be written.
void remove_projection(const Run& run, const std::string& name);
/// Errors: as remove_projection(); Error when there is one called `to`, or that is no name.
void rename_projection(const Run& run, const std::string& name, const std::string& to);

/// Letters, digits, '-', '_' and '.', not first: a name is a file's. Errors: Error.
void check_projection_name(const std::string& name);

/// Where the rows come from scores, `info` says on how many axes and what they leave out, and a note, too.
void add_left_out(const Run& run, const SelectedRows& rows, Json& info);

}  // namespace tomograph
