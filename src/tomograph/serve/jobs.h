#pragma once
#include <string>

#include "tomograph/base/json.h"
#include "tomograph/base/progress.h"
#include "tomograph/serve/catalog.h"
#include "tomograph/serve/task.h"

namespace tomograph {

/// How much work a page may ask for.
struct JobLimits {
    std::int64_t pca_rows = 1'000'000;
    std::int64_t umap_rows = 200'000;
    int dims = 16;
    int threads = 0;
};

/// What a page asks for, read and checked. Rows left at 0 or above the limit become the limit.
struct ProjectionRequest {
    std::size_t run = 0;
    std::string name, method = "pca";  ///< "pca" or "umap"
    Selection selection;
    int dims = 6;                                     ///< UMAP: 2 or 3
    UmapOptions umap = UmapProjectionOptions{}.umap;  ///< metric, n_neighbors and min_dist can be asked for
};
/// What a request that leaves them out gets: {"metric", "metrics", "n_neighbors", "min_dist"}.
Json umap_defaults();

/// Errors: Error that says what is wrong with it.
ProjectionRequest parse_request(const Json& json, const JobLimits& limits);

/// Select, reduce, measure how far to believe the result.
Projection make_projection(const Run& run, const ProjectionRequest& request, int threads, Progress& progress);

/// Projections asked for by a page: one at a time, watched and stopped by their number.
class Jobs {
  public:
    Jobs(Catalog& catalog, JobLimits limits);

    const JobLimits& limits() const { return limits_; }
    /// Errors: Busy when one is under way; Error when the request is broken, the name is taken, or the
    /// machine has no thread left.
    int start(const Json& request);
    /// As Task::status(), with "run", "name", "saved". Errors: Error when there is no such job.
    Json status(int id) const { return tasks_.status(id); }
    void cancel(int id) { tasks_.cancel(id); }
    bool busy() const { return tasks_.busy(); }

  private:
    Catalog& catalog_;
    JobLimits limits_;
    Tasks tasks_;
};

}  // namespace tomograph
