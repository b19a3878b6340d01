#pragma once
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tomograph/serve/columns.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// What the viewer shows: one run, the runs of a study, or two runs to compare; with their columns, made on
/// demand and kept within a budget of memory. Safe from several threads.
class Catalog {
  public:
    /// One folder (a run or a study) or two runs. Errors: Error that says what each path is instead; for two
    /// runs, when their vectors have different widths.
    explicit Catalog(const std::vector<std::filesystem::path>& folders, std::size_t cache_bytes = 1u << 30);

    /// The page's table of contents: runs, their projections and findings. Reads the small files anew each
    /// time, so a projection that was made meanwhile shows, and what a run that was still being written has
    /// grown by.
    Json manifest();

    std::size_t n_runs() const { return runs_.size(); }
    /// Errors: Error when there is no such run or its folder was deleted.
    const Run& run(std::size_t index) const;
    bool comparing() const { return comparing_; }

    /// Columns of a projection. Errors: as load_projection().
    std::shared_ptr<const ColumnSet> projection(std::size_t run, const std::string& name);
    std::shared_ptr<const ColumnSet> tokens(std::size_t run);
    std::shared_ptr<const std::string> vocabulary(std::size_t run);
    ColumnPtr norms(std::size_t run, Component component);
    /// The second run in the basis of a PCA projection of the first: rows of the same site, sequence and
    /// position, in the first one's order, NaN where there is none. Columns axis0, axis1, ...
    std::shared_ptr<const ColumnSet> counterpart(const std::string& name);

    /// A figure of the study: only files that study.json lists. Errors: Error.
    std::filesystem::path figure(const std::string& file) const;
    /// study.json, null when this is no study.
    const Json& study() const { return study_; }

    /// Projections that could not be saved live here.
    void keep(std::size_t run, std::shared_ptr<const Projection> projection);
    std::shared_ptr<const Projection> load(std::size_t run, const std::string& name) const;

  private:
    struct Entry {
        std::string name;
        std::unique_ptr<Run> run;
    };
    using Made = std::shared_ptr<const ColumnSet>;
    void reopen_growing();
    Made cached(const std::string& key, const std::function<ColumnSet()>& make);
    const Run& opened(std::size_t index) const;
    Json run_json(std::size_t index) const;

    std::vector<Entry> runs_;
    std::vector<std::unique_ptr<Run>> outgrown_;  // as they were first opened: others may still read them
    std::filesystem::path folder_;
    Json study_;
    bool comparing_ = false;
    std::size_t cache_bytes_;
    mutable std::mutex mutex_;
    std::mutex making_;
    std::list<std::pair<std::string, Made>> cache_;  // newest first
    std::map<std::string, ColumnPtr> norm_maps_;
    std::map<std::size_t, std::shared_ptr<const std::string>> vocabularies_;
    std::vector<std::pair<std::size_t, std::shared_ptr<const Projection>>> kept_;
};

/// The selection that a projection was made with, read back from its JSON. Errors: Error for what no
/// selection says.
Selection selection_from_json(const Json& json);

}  // namespace tomograph
