#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/findings/measure.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// One figure of a report's numbers and the findings that it shows.
struct MeasureFigure {
    std::string file;  ///< "figures/NAME.png"
    std::string caption;
    std::vector<std::string> findings;
};

/// Draws what stands behind the findings, mostly layer by layer with the controls as lines, into the folder
/// figures of `root`, which is made where it is missing, and names each as the figure of its findings. What
/// the report has no numbers for is left out. Errors: Error as draw_lines() and draw_scatter() (no gnuplot, a
/// full disk).
std::vector<MeasureFigure> draw_measures(const Run& run, MeasureReport& report,
                                         const std::filesystem::path& root);

}  // namespace tomograph
