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

struct MeasureFigures {
    std::vector<MeasureFigure> drawn;
    std::vector<std::string> failed;  ///< "figures/NAME.png was not drawn: why", one a figure
};

/// Draws one chart, titled with its run; false where it holds nothing to draw. Errors: as the figures' own.
bool draw_chart(const Chart& chart, const Run& run, const std::filesystem::path& file);

/// Draws the report's charts, mostly layer by layer with the controls as lines, into the folder figures of
/// `root`, which is made where it is missing, and names each as the figure of its findings. A chart without
/// numbers is left out; one that cannot be drawn (no gnuplot, a full disk) is named and costs no other.
MeasureFigures draw_measures(const Run& run, MeasureReport& report, const std::filesystem::path& root);

}  // namespace tomograph
