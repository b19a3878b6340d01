#include "tomograph/findings/list.h"

#include <fmt/format.h>

namespace tomograph {

const std::vector<const FindingKind*>& finding_kinds() {
    static const std::vector<const FindingKind*> kinds{
#define TOMOGRAPH_LIST_FINDING(name) &findings::name,
        TOMOGRAPH_FINDINGS(TOMOGRAPH_LIST_FINDING)
#undef TOMOGRAPH_LIST_FINDING
    };
    return kinds;
}

std::string findings_reference() {
    std::string text = "| finding | effect | counts when | controls |\n|---|---|---|---|\n";
    for (const FindingKind* kind : finding_kinds()) {
        text += fmt::format("| `{}` | {}{} | {} | {}{} |\n", kind->name,
                            kind->needs_rope_off ? "with `--rope-off-run`: " : "", kind->effect_is,
                            kind->smaller_counts ? "smaller" : "larger", kind->controls,
                            kind->twin_counts ? ", twin" : "");
    }
    return text;
}

}  // namespace tomograph
