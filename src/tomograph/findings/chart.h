#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// One control of a finding and what the same measure gives there.
struct Control {
    std::string name;  ///< "labels shuffled", "random-weight twin", ...
    double value = 0;
};

/// One line of a chart over layers. A point that is not finite leaves a gap.
struct ChartLine {
    std::string name;
    std::vector<double> layer, value;    ///< [n] each
    std::vector<double> low, high;       ///< [n] each or empty: its 95 % interval
    std::optional<Component> component;  ///< whose line it is
    bool control = false;                ///< what chance gives, beside the others
};

/// Numbers by layer.
struct LayerChart {
    std::string y_label;
    std::vector<ChartLine> lines;
    bool log_y = false;
    /// Controls that are among the lines and need no level of their own, or have none; "twins" for these.
    std::vector<std::string> drawn_controls;
    /// The finding's other controls, drawn at one height over the layers that its number averages over.
    std::vector<Control> levels;
    double first_level_layer = 0, last_level_layer = 0;
};

/// A curve in three dimensions.
struct CurveChart {
    MatrixD points;                ///< [n, 3], consecutive ones joined
    std::vector<double> position;  ///< [n], what colours them
};

/// A number for each pair of layers.
struct PairsChart {
    MatrixD values;  ///< [layers, layers]
    int first_layer = 0;
    std::string value_label;
};

/// What stands behind a finding, ready to be drawn: findings/ does not draw and figures/ does not measure.
struct Chart {
    std::string name;      ///< of the file, without folder and ending
    std::string title;     ///< first line
    std::string subtitle;  ///< last line; may be empty
    std::string caption;
    std::variant<LayerChart, CurveChart, PairsChart> shape;
    std::vector<std::string> findings;  ///< names of those that it shows; measure_run() fills them in
};

}  // namespace tomograph
