#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "tomograph/base/progress.h"
#include "tomograph/words/site.h"

namespace tomograph {

struct ImportOptions {
    /// Site under which the vectors are filed. Default blocks.0.resid_post.
    Site site{Component::resid_post, 0};
    /// CSV with a header line and one line a row of the matrix. Columns that count: label, sequence,
    /// position, token (text). Others are ignored. Without position, a row's place in its sequence.
    std::optional<std::filesystem::path> labels;
    bool force = false;        ///< replace an existing run
    std::string command = {};  ///< how it was asked for, kept in run.json
};

/// Make a run from a matrix [n, d] of float32 or float16 that was captured elsewhere (.npy). Rows keep their
/// order and their type. Returns n. Errors: Error for another kind of file, or labels whose lines do not
/// match the rows; Stopped.
std::int64_t import_matrix(const std::filesystem::path& matrix, const std::filesystem::path& out,
                           const ImportOptions& options, Progress& progress);

}  // namespace tomograph
