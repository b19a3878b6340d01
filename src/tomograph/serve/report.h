#pragma once
#include <cstdint>
#include <filesystem>

namespace tomograph {

struct ReportOptions {
    /// Most bytes of point columns before they become text (base64: a third more). Projections that do not
    /// fit are sampled evenly, and the page says how many points of how many it shows. Default 12 MB.
    std::size_t column_bytes = 12'000'000;
};

/// The viewer of a study or a run as one file that opens from disk and needs no server: the page, the columns
/// of every projection, and below them the figures and numbers as plain HTML, readable without WebGL or
/// JavaScript. Errors: Error when the folder holds no run, when the program was built without the page, or
/// the disk is full.
void write_viewer_report(const std::filesystem::path& folder, const std::filesystem::path& out,
                         const ReportOptions& options = {});

}  // namespace tomograph
