#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tomograph/maps/projection.h"
#include "tomograph/neighbors/neighbor_index.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// A prompt's rows on a run's map.
struct Placed {
    Projection projection;           ///< points in the map's own axes, labels with the prompt's tokens
    std::vector<std::string> notes;  ///< where they are not what the map's own points are, a sentence each
};

/// What a map's selection says of a prompt: its components, layers, normalisation and order of layers hold;
/// what chooses among tokens or averages over them does not.
struct PromptSelection {
    Selection selection;
    std::vector<std::string> notes;
};
PromptSelection prompt_selection(const Projection& map);

/// Lays a prompt on maps of the run that its model has read. Keeps what the last map of neighbourhoods needs.
class Placer {
  public:
    explicit Placer(std::int64_t most_umap_rows = 200'000, int threads = 0)
        : most_(most_umap_rows), threads_(threads) {}
    /// Before the first use.
    void limit(std::int64_t most_umap_rows, int threads) {
        most_ = most_umap_rows;
        threads_ = threads;
    }

    /// On a PCA map through its basis: a text that the run holds falls on its own points. On a UMAP each row
    /// goes to the mean of the places of its nearest rows in the full space, by nearness; a row that the map
    /// has goes to its place. `key` tells one map from another. Errors: Error for a UMAP of more rows than
    /// are searched, or when the run no longer gives the map's rows.
    Placed place(const Run& prompt, const Run& run, const Projection& map, const std::string& key);
    /// The same of any rows, of the prompt's run or the map's own, selected as the map normalises: points [n,
    /// dims], and what place() notes of them. Errors: as place().
    Matrix lay_out(const SelectedRows& rows, const Run& run, const Projection& map, const std::string& key,
                   std::vector<std::string>& notes);

  private:
    Matrix by_neighbors(const SelectedRows& rows, const Run& run, const Projection& map,
                        const std::string& key);
    std::int64_t most_;
    int threads_;
    std::mutex mutex_;
    std::string indexed_;
    std::shared_ptr<const NeighborIndex> index_;
};

}  // namespace tomograph
