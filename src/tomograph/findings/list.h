#pragma once
// Every finding, one line each, in the order of the report. A line here and a file of its name make one.
#include <vector>

#include "tomograph/findings/finding.h"

#define TOMOGRAPH_FINDINGS(FINDING) \
    FINDING(attn_mlp_separation)    \
    FINDING(attn_mlp_direction)     \
    FINDING(attn_mlp_overlap)       \
    FINDING(separation_by_depth)    \
    FINDING(first_token_norm)       \
    FINDING(massive_activations)    \
    FINDING(rogue_dimensions)       \
    FINDING(anisotropy)             \
    FINDING(intrinsic_dimension)    \
    FINDING(position_share)         \
    FINDING(position_helix)         \
    FINDING(position_lattice)       \
    FINDING(layer_paths)            \
    FINDING(spread_tighten)         \
    FINDING(layer_cka)              \
    FINDING(answer_depth)           \
    FINDING(expert_share)           \
    FINDING(label_share)            \
    FINDING(label_probe)            \
    FINDING(rope_share)             \
    FINDING(rope_dose)              \
    FINDING(context_share)

namespace tomograph {

namespace findings {
#define TOMOGRAPH_DECLARE_FINDING(name) extern const FindingKind name;
TOMOGRAPH_FINDINGS(TOMOGRAPH_DECLARE_FINDING)
#undef TOMOGRAPH_DECLARE_FINDING
}  // namespace findings

/// All of them, in the order of the report.
const std::vector<const FindingKind*>& finding_kinds();

/// The table of docs/measures.md: name, effect, which side counts, controls, what is no effect;
/// Markdown.
std::string findings_reference();
/// "0 ± 0.05", "null ± 10 %", "0.8 to 1.25", "–".
std::string margin_text(const Margin& margin);

}  // namespace tomograph
