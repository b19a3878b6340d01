#include "tomograph/findings/list.h"

#include <fmt/format.h>

#include <cmath>

namespace tomograph {

const std::vector<const FindingKind*>& finding_kinds() {
    static const std::vector<const FindingKind*> kinds{
#define TOMOGRAPH_LIST_FINDING(name) &findings::name,
        TOMOGRAPH_FINDINGS(TOMOGRAPH_LIST_FINDING)
#undef TOMOGRAPH_LIST_FINDING
    };
    return kinds;
}

std::string margin_text(const Margin& margin) {
    if (margin.width == 0) return "–";
    if (margin.ratio)
        return fmt::format("{} to {}", margin.no_effect / margin.width, margin.no_effect * margin.width);
    return fmt::format(
        "{} ± {}", std::isnan(margin.no_effect) ? "null" : fmt::format("{}", margin.no_effect),
        margin.share ? fmt::format("{} %", 100 * margin.width) : fmt::format("{}", margin.width));
}

std::string findings_reference() {
    std::string text = "| finding | effect | counts when | controls | no effect |\n|---|---|---|---|---|\n";
    for (const FindingKind* kind : finding_kinds()) {
        text += fmt::format("| `{}` | {}{} | {} | {}{} | {} |\n", kind->name,
                            kind->needs == Needs::router       ? "of a mixture: "
                            : kind->needs == Needs::labels     ? "of labelled prompts: "
                            : kind->needs == Needs::rope_off   ? "with `--rope-off-run`: "
                            : kind->needs == Needs::rope_doses ? "with `--rope-dose-run`: "
                            : kind->needs == Needs::context    ? "with `--context-run`: "
                                                               : "",
                            kind->effect_is, kind->smaller_counts ? "smaller" : "larger", kind->controls,
                            kind->twin_counts ? ", twins" : "", margin_text(kind->margin));
    }
    return text;
}

}  // namespace tomograph
