#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace tomograph {

/// Conformal p-value of each score: (1 + how many ordinary scores are at least as high) / (1 + how many
/// ordinary ones there are). Valid whatever the scores' distribution, as long as ordinary rows could be
/// exchanged with those that are tested. NaN ordinary scores are left out, a NaN score gets 1. Source: Vovk,
/// Gammerman & Shafer (2005), "Algorithmic learning in a random world"; for outliers Bates et al. (2023),
/// "Testing for outliers with conformal p-values".
std::vector<double> conformal_p(std::span<const double> ordinary, std::span<const double> scores);

/// Which hypotheses to reject so that of those rejected no more than a share q is expected to be true:
/// indices, smallest p first. Source: Benjamini & Hochberg (1995), "Controlling the false discovery rate".
std::vector<std::size_t> benjamini_hochberg(std::span<const double> p, double q);

}  // namespace tomograph
