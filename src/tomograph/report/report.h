#pragma once
#include <filesystem>
#include <string>

namespace tomograph {

/// What a report says without a map and without JavaScript.
struct StaticReport {
    std::string title;  ///< the model's name, no HTML
    std::string style;  ///< CSS
    std::string body;   ///< HTML: numbers, findings, notes and figures, the pictures embedded
};

/// Of a study: all of it. Of a run: its findings, if it was measured. Errors: Error for a folder that is
/// neither, or a figure that is missing.
StaticReport static_report(const std::filesystem::path& folder);

/// The static report as a page that opens from disk: what a program without the viewer writes. Errors: as
/// static_report(), and Error when the disk is full.
void write_static_report(const std::filesystem::path& folder, const std::filesystem::path& out);

}  // namespace tomograph
