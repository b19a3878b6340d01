#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

struct LatticeOptions {
    /// Points at most, a seeded sample of them. Default 1000.
    std::int64_t points = 1000;
    std::uint64_t seed = 42;
    /// Variance of each component [k] that is noise of the points. A lattice with noise has peaks lower by
    /// exp(-q^2 noise), and between them only noise shows at such q: heights count less by this factor.
    /// Empty: none.
    std::vector<double> noise;
};

struct LatticeScore {
    /// Height of the second Bragg peak, 0 to 1: how far the points keep to rows in two directions at once.
    double score = 0;
    int first = 0, second = 1;  ///< the two components where it was found
    std::int64_t n_points = 0;
};

/// Whether points [n, k] form a lattice in some pair of their first three (whitened) components. The
/// structure factor |sum of exp(i q x)|^2 / n^2 is searched over wave vectors q; a lattice has peaks of
/// height 1 in two directions, a chain or a line in one only, so the score is the highest peak at 30 degrees
/// or more from the highest of all. Small q, where any cloud's outline shows, stay out. kNoNumber for fewer
/// than 16 points or one component. Source: the structure factor of crystallography and its Debye-Waller
/// factor; Torquato (2018), "Hyperuniform states of matter".
LatticeScore lattice_score(const MatrixD& points, const LatticeOptions& options = {});

/// The same for a Gaussian cloud of `n` points: once whitened, all Gaussian clouds are this one. `noise` is
/// the share of each component's variance that is noise.
double gaussian_lattice_score(std::int64_t n, std::int64_t components, std::uint64_t seed,
                              const std::vector<double>& noise = {});

/// Largest share of noise in a component's variance at which the widest lattice that is looked for keeps a
/// third of its peaks' height.
inline constexpr double kMostLatticeNoise = 0.04;

}  // namespace tomograph
