#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "tomograph/base/progress.h"
#include "tomograph/capture/capture.h"

namespace tomograph {

/// "2/8"; "slurm", this task's place in its job array (SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT), which is
/// said on standard error; "" is all. Where a job array is found and `text` is "", a note says how to share.
/// Errors: Error for anything else, a part that there is not, or no job array.
Part parse_part(const std::string& text);

/// This process' place among those that mpirun started, by the variables of Open MPI or of MPICH and its kin;
/// none outside of one, or where it started one process.
std::optional<Part> rank_part();

/// The folder of one process' part: OUT.parts/3.
std::filesystem::path rank_folder(const std::filesystem::path& out, int number);

/// Called by each process of an mpirun once its own part is whole: whoever finds all parts whole merges them
/// into `out` and deletes them. False: others are still at work, or one of them did it. Errors: as
/// merge_runs.
bool merge_ranks(const std::filesystem::path& out, const Part& own, Begin begin, Progress& progress);

}  // namespace tomograph
