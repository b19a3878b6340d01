#pragma once
// The tables that a terminal and a report both show, in words.
#include <string>
#include <vector>

#include "tomograph/base/json.h"

namespace tomograph {

/// One finding of findings.json, ready to be set in a table.
struct FindingLine {
    std::string name, effect, interval, null, p, verdict, figure;
    std::string effect_is, reason;  ///< may be empty
};
/// From the list under "findings" in findings.json.
std::vector<FindingLine> finding_lines(const Json& findings);

/// What the verdicts rest on, from "how" in findings.json: the correction, and how many twins of which kind.
std::string how_text(const Json& how);

/// One of a study's numbers.
struct SummaryLine {
    std::string what, value, how;
};
/// From "numbers" in study.json; what it lacks is left out.
std::vector<SummaryLine> summary_lines(const Json& numbers);

}  // namespace tomograph
