#pragma once
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tomograph/report/study_file.h"
#include "tomograph/serve/columns.h"
#include "tomograph/serve/place.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// A projection with the rows that it was made of, as long as somebody looks at them.
struct MapRows {
    std::shared_ptr<const Run> run;  ///< outlives the rows
    std::shared_ptr<const Projection> projection;
    SelectedRows rows;
    std::string version;  ///< of the projection
};

/// What the viewer shows: one run, the runs of a study, or two runs to compare; with their columns, made on
/// demand and kept within a budget of memory. Safe from several threads.
///
/// Folders change while they are shown: a run grows or is captured anew, a projection is made anew under its
/// name. Everything kept is kept under its version, so that nothing old is given for new.
class Catalog {
  public:
    /// One folder (a run or a study) or two runs. Errors: Error that says what each path is instead; for two
    /// runs, when their vectors have different widths.
    explicit Catalog(const std::vector<std::filesystem::path>& folders, std::size_t cache_bytes = 1u << 30);

    /// The page's table of contents: runs, their projections and findings. Reads the small files anew each
    /// time, so a projection that was made meanwhile shows, a run of the study that was captured meanwhile,
    /// and what a run that was still being written has grown by.
    Json manifest();

    std::size_t n_runs() const;
    /// As it is on disk now. Errors: Error when there is no such run, its folder was deleted, or what
    /// replaced it cannot be read.
    std::shared_ptr<const Run> run(std::size_t index);
    /// Another once the run has grown or was captured anew. Errors: as run().
    std::string run_version(std::size_t index);
    /// Another only once it was captured anew. Errors: as run().
    std::string capture(std::size_t index);
    bool comparing() const { return comparing_; }
    /// Where the run or the study lies, which new runs go beside.
    std::filesystem::path beside() const;

    /// Columns of a projection; header.version is its version. Of other rows on a map's axes (OtherRows) the
    /// version is the map's, and header.info what a manifest says of projections. Errors: as load().
    std::shared_ptr<const ColumnSet> projection(std::size_t run, const std::string& name);
    /// The last few are kept: whoever looks around one row soon looks around another. Errors: as load() and
    /// rows_of().
    std::shared_ptr<const MapRows> rows(std::size_t run, const std::string& name);
    std::shared_ptr<const ColumnSet> tokens(std::size_t run);
    /// JSON, [[id, text], ...].
    ColumnPtr vocabulary(std::size_t run);
    ColumnPtr norms(std::size_t run, Component component);
    /// The second run in the basis of a PCA projection of the first, in the first one's order: the same site
    /// of the token that has read the same, NaN where there is none. comparison_columns() says which columns.
    std::shared_ptr<const ColumnSet> counterpart(const std::string& name);

    /// A figure of the study: only files that study.json lists. Errors: Error, also when the file leads out
    /// of the study's folder.
    std::filesystem::path figure(const std::string& file) const;

    /// Projections that could not be saved live here, until the run is captured anew.
    void keep(std::size_t run, std::shared_ptr<const Projection> projection);
    /// A projection of the run, or other rows on the axes of one (OtherRows), which are laid out when first
    /// asked for. Errors: as load_projection() and lay_out_others(), and Error when its files lead out of the
    /// run's folder.
    std::shared_ptr<const Projection> load(std::size_t run, const std::string& name);
    /// Lays rows on the maps of these runs.
    Placer& placer() { return placer_; }
    /// Names that are taken, saved or kept.
    std::vector<std::string> taken_names(std::size_t run);

  private:
    struct Entry {
        std::string name;
        std::filesystem::path folder;
        std::shared_ptr<const Run> run;
        std::string version;  // of what it was opened with
        std::string capture;
        int growth = 0;  // how often it was opened since
    };
    struct Kept {
        std::size_t run;
        std::string version;
        std::shared_ptr<const Projection> projection;
    };
    using Made = std::shared_ptr<const ColumnSet>;
    static std::string version_of(const Entry& owner);
    static Entry open_entry(const std::string& name, const std::filesystem::path& folder);
    Entry entry(std::size_t index) const;
    Entry current(std::size_t index);
    Entry reopen(std::size_t index, bool growing);
    void read_the_study();
    Made cached(const std::string& key, const std::function<ColumnSet()>& make);
    std::shared_ptr<const Projection> load(std::size_t index, const Entry& owner, const std::string& name);
    std::shared_ptr<const Projection> others(std::size_t index, const Entry& owner, const std::string& name);
    std::string projection_version(std::size_t index, const Entry& owner, const std::string& name) const;
    Json run_json(std::size_t index);

    std::filesystem::path folder_;
    bool is_study_ = false;
    bool comparing_ = false;
    std::size_t cache_bytes_;
    Placer placer_;
    std::mutex opening_;        // one run is opened at a time
    std::mutex making_;         // one column set is made at a time
    mutable std::mutex mutex_;  // of all that follows
    std::vector<Entry> runs_;
    StudyFile study_;
    std::string study_version_;
    std::list<std::pair<std::string, Made>> cache_;  // newest first
    std::vector<Kept> kept_;
    std::list<std::shared_ptr<const MapRows>> looked_at_;                          // newest first
    std::list<std::pair<std::string, std::shared_ptr<const Projection>>> others_;  // newest first
    int n_kept_ = 0;
};

}  // namespace tomograph
