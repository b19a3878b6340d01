#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"

namespace tomograph {

/// What became of a run's bytes since they were written.
struct Verification {
    std::size_t n_files = 0;
    std::uint64_t bytes = 0;
    /// File, relative to the run, and what is wrong with it.
    struct Fault {
        std::string file, what;
    };
    std::vector<Fault> faults;
};

/// Read every file of a run's core and compare it with its checksum: tokens, shards, what is drawn from them
/// together. The descriptions check each other: every manifest names the plan's checksum, and run.json must
/// be what plan and manifests make of it. Of an interrupted run, its whole shards. What was derived from the
/// run later (projections, measures, figures) has no checksum and is not looked at. Errors: Error where
/// `path` is no run, or its descriptions cannot be read; Stopped.
Verification verify_run(const std::filesystem::path& path, Progress& progress);

}  // namespace tomograph
