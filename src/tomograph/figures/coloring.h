#pragma once
#include <string>

#include "tomograph/figures/cloud.h"
#include "tomograph/figures/scatter.h"
#include "tomograph/maps/projection.h"

namespace tomograph {

enum class ColorBy { component, layer, position, token, label, norm };

/// Colours of a projection's rows. By token: the most frequent tokens have a colour each, the rest is grey.
/// Errors: Error where no row has what is asked for (averaged away, or a run without labels).
Coloring color_rows(const Run& run, const Projection& projection, ColorBy by);
/// By its word, by a further column of labels ("role"), by a score ("logprob") of the run, or by the expert
/// that a mixture's router prefers ("expert"). Errors: as
/// above; Error that names what this run can be coloured by.
Coloring color_rows(const Run& run, const Projection& projection, const std::string& by);

/// "PC 1 (32.1 %)" for PCA, "UMAP 1" for UMAP; `axis` counts from 0.
std::string axis_label(const Projection& projection, int axis);

/// "attn_out, mlp_out · layers 5 to 24 · positions from 1 · unit vectors · mean over samples".
std::string selection_text(const Run& run, const Selection& selection);
std::string selection_text(const Run& run, const Json& selection);
/// "SmolLM2 · text, 32 sequences of 512".
std::string run_text(const Run& run);

}  // namespace tomograph
