#pragma once
// What the study's figures say of themselves. For use inside study/ only.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tomograph/figures/coloring.h"
#include "tomograph/maps/projection.h"

namespace tomograph {

// Headings of the report.
inline constexpr const char* kAttentionMlp = "Attention and MLP outputs";
inline constexpr const char* kLayers = "Paths through the layers";
inline constexpr const char* kPositions = "Positions";
inline constexpr const char* kNorms = "Norms";
inline constexpr const char* kVocabulary = "Vocabulary";
inline constexpr const char* kRepeat = "One token repeated";

inline bool has_component(const Run& run, Component component) {
    return std::any_of(run.sites().begin(), run.sites().end(),
                       [&](const SiteShape& s) { return s.site.component == component; });
}

inline std::string title(const std::string& what, const Run& run, const Selection& selection) {
    return fmt::format("{}\n{}\n{}", what, run_text(run), selection_text(run, selection));
}

inline std::vector<double> variance_of(const Projection& projection) {
    return projection.info.at("explained_variance_ratio").get<std::vector<double>>();
}

inline std::string explained(const Projection& projection, std::size_t n) {
    double sum = 0;
    const auto ratio = variance_of(projection);
    for (std::size_t i = 0; i < std::min(n, ratio.size()); ++i) sum += ratio[i];
    return fmt::format("{} components explain {:.1f} % of the variance", n, 100 * sum);
}

inline std::string constant_text(const Projection& projection) {
    return fmt::format(
        "constant: the variance is {:.1e} of the mean square, which is rounding, so there is no structure to "
        "draw",
        projection.info.at("relative_variance").get<double>());
}

}  // namespace tomograph
