#pragma once
// One token repeated, in a model with a learned table of positions. For use inside findings/ only.
#include <optional>

#include "tomograph/findings/chart.h"
#include "tomograph/findings/subject.h"

namespace tomograph {

struct RepeatInTable {
    Json detail;
    Chart chart;
};

/// Where one token stands at all positions, only position can differ: by layer, the share of that variance
/// (unit vectors, first position and sinks left out) that lies inside the leading components of the position
/// table, which hold nine tenths of it. Controls: 97.5 % of random subspaces as large, and the same share of
/// the measured text's rows. Nothing where there is no table or no such run.
std::optional<RepeatInTable> measure_repeat_in_table(Subject& subject, const Matrix& table);

}  // namespace tomograph
