#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tomograph/serve/catalog.h"

namespace tomograph {

/// From one group of a map's points to another, at one site of the model.
struct FoundDirection {
    int id = 0;
    std::size_t run = 0;
    Site site;
    Vector direction;  ///< [d_model], the difference of the means of the rows as they were captured
    std::int64_t n_toward = 0, n_away = 0;
    double mean_norm = 0;  ///< of the rows of both groups
    /// How well a half of the rows tells the other half's groups apart: the chance that a row of the one lies
    /// farther along than a row of the other, the mean of both ways round. 0.5: not at all.
    double held_out = 0;
};

/// Rows of each group at least, and at most: of more the page, which is told both, sends some, evenly. Two
/// groups of that many fit a request's body.
inline constexpr std::size_t kLeastOfGroup = 4, kMostOfGroup = 2000;

/// `toward` and `away`: rows of the map that stand at `site`. Errors: Error for averages, fewer or more rows
/// than that, a row twice, in both groups or of another site, and groups whose means are equal.
FoundDirection find_direction(const MapRows& map, const Site& site, const std::vector<std::int64_t>& toward,
                              const std::vector<std::int64_t>& away);

/// Directions that a page has asked for; the last few are kept. Safe from several threads.
class Directions {
  public:
    explicit Directions(Catalog& catalog) : catalog_(catalog) {}

    /// {"run", "projection", "component", "layer", "toward": [row, ...], "away": [row, ...]}, with the
    /// layer's own number, and "version" of the projection where an older one would mislead. Gives {"id",
    /// "site", "length", "mean_norm", "held_out", "toward", "away"}. Errors: Error for a broken request; as
    /// find_direction().
    Json find(const Json& request);
    /// Errors: Error when there is none, or no longer.
    std::shared_ptr<const FoundDirection> get(int id) const;

  private:
    Catalog& catalog_;
    mutable std::mutex mutex_;  // of what follows
    int next_ = 1;
    std::list<std::shared_ptr<const FoundDirection>> found_;  // newest first
};

}  // namespace tomograph
