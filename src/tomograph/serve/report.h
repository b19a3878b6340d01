#pragma once
#include <cstdint>
#include <filesystem>

namespace tomograph {

struct ReportOptions {
    /// Bytes that the file should keep to. Points are sampled evenly until it does, down to 1,000 rows a
    /// projection, and the page says how many of how many it shows. Default 32 MB.
    std::size_t bytes = 32'000'000;
};

/// The viewer of a study or a run as one file that opens from disk and needs no server: the page, the points
/// of every projection, and below them the static report (study/report.h), readable without WebGL or
/// JavaScript. Errors: Error when the folder holds no run, or the disk is full.
void write_viewer_report(const std::filesystem::path& folder, const std::filesystem::path& out,
                         const ReportOptions& options = {});

}  // namespace tomograph
