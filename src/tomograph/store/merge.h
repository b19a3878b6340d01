#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/store/output_folder.h"

namespace tomograph {

struct MergeOptions {
    /// fresh or replace.
    Begin begin = Begin::fresh;
    /// Copies of the shards. Default: hard links where the file system has them, so that merging costs no
    /// room; a shard never changes, and deleting the parts leaves the merged run whole.
    bool copy = false;
};

struct MergeSummary {
    std::size_t n_parts = 0, n_shards = 0;
    std::int64_t n_sequences = 0, n_tokens = 0;
    std::uint64_t linked_bytes = 0, copied_bytes = 0;
};

/// Puts the parts of one capture (CaptureOptions::part) together: `out` is then the run that one process with
/// the same plan would have written, to the byte. Every file is compared with its checksum on the way; where
/// that fails, and on every other error, no folder is left. A folder may hold several parts. Between parts
/// the command, the model's path and the processor may differ, and nothing else.
///
/// Errors: Error for a folder that is no part of a capture, parts of different captures (which fields differ
/// is said), a part that is there twice, that is missing or not finished, a file that was cut or changed, a
/// full disk; Stopped.
MergeSummary merge_runs(const std::vector<std::filesystem::path>& runs, const std::filesystem::path& out,
                        const MergeOptions& options, Progress& progress);

/// Which part of the capture none of these has whole, such as "part 2/4 is missing"; "" where all are there.
/// Errors: as merge_runs, but for that.
std::string missing_part(const std::vector<std::filesystem::path>& runs);

}  // namespace tomograph
