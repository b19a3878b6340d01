#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/words/site.h"

namespace tomograph {

struct ImportOptions {
    /// Files one after another, each with sequences of its own: see read_part().
    std::vector<std::filesystem::path> files;
    /// Or one file a site, all of the same rows. Not beside `files`.
    std::vector<std::pair<Site, std::filesystem::path>> sites;
    /// Site of `files` that do not name theirs. Default blocks.0.resid_post.
    std::optional<Site> site;
    /// Hidden states that a tensor of several layers holds. Default 1, 2, 3 …: see SourceOptions.
    std::vector<int> layers;
    /// CSV with a header line and one line a row: see token_rows().
    std::optional<std::filesystem::path> labels;
    bool force = false;        ///< replace an existing run
    std::string command = {};  ///< how it was asked for, kept in run.json
};

struct ImportSummary {
    std::int64_t n_rows = 0, n_sequences = 0;
    std::size_t n_sites = 0;
    std::vector<std::string> notes;  ///< what was converted, assumed or not read
};

/// Make a run from vectors that were captured elsewhere. Rows keep their order; float32, float16 and bfloat16
/// are kept, other numbers become float32. Errors: Error for files that cannot be read so, that do not fit
/// each other, or hold a number beyond float32; Stopped.
ImportSummary import_vectors(const ImportOptions& options, const std::filesystem::path& out,
                             Progress& progress);

}  // namespace tomograph
