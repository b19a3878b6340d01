#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Which rows of a table of position vectors can be compared with each other.
struct TableRows {
    std::int64_t first = 0, count = 0;
    std::vector<std::string> left_out;  ///< why each row or stretch is not among them, in words
};

/// Position 0 is left out always: what a model attends to by default is no place among others. So are rows at
/// the end whose norm is under a quarter of the median or over four times it, half of the table at most: a
/// position that training never reached keeps the vector that it was born with. `table` [n, d].
TableRows comparable_positions(const Matrix& table);

struct CoilOptions {
    /// Surrogates of each of the three kinds. p cannot be smaller than 1 / (replicates + 1). 0: no chances,
    /// for the numbers of many curves. Default 199.
    int replicates = 199;
    std::uint64_t seed = 42;
    /// The bytes of the result do not depend on it.
    int threads = 1;
    /// At most this chance of such a coil in a curve without one. Default 0.025.
    double level = 0.025;
};

/// A frequency at which a curve oscillates.
struct CoilLine {
    double turns = 0;  ///< full turns over the curve
    double share = 0;  ///< of the curve's power, line and noise taken away, within half a turn of it
};

/// How a curve of points in order turns about an axis, with the chance of such turning in random curves.
struct Coil {
    /// "helix": one coil, round, about an axis that rises; "circle": the same without the axis; "several":
    /// turning beyond chance of which no frequency holds half; "wave": one frequency, but flat; "line": a
    /// line explains half of the curve; "none".
    std::string shape = "none";
    /// The shape in words, with numbers.
    std::string words;
    /// The chance that a random curve turns as much and in one coil: round, half of it at one frequency, 1.75
    /// net turns at least. The largest over the kinds of random curve. 1 where this curve is no such
    /// coil.
    double p = 1;
    /// Walk, exponential, Gaussian autocorrelation; and a flat wave in noise.
    std::array<double, 4> p_by_kind{1, 1, 1, 1};
    double p_turning = 1;  ///< chance that a random curve turns as much, in whatever way

    /// Share of the curve's variance, line taken away, that turns one way round in one plane within +-60 % of
    /// `frequency`. 0: none or flat; 1: a perfect coil.
    double turning = 0;
    double chance_turning = 0;   ///< what 97.5 % of the strictest kind of surrogates stay below, as one coil
                                 ///< if the curve is one
    double share = 0;            ///< the same of the variance without noise: "one coil" asks for half
    double frequency = 0;        ///< full turns over the curve at the middle of that band
    double turns = 0;            ///< net turns about the curve's middle, counted point by point
    double component_turns = 0;  ///< the same in two of the first three principal components
    int along_component = 0;     ///< seen along this one of them, which is nearest to a line
    double one_way = 0;          ///< net over total turning; 1: never back
    double roundness = 0;        ///< 1: a circle seen along the axis; 0: a flat wave
    double rise = 0;             ///< of the axis over the whole curve, in radii of the coil
    double p_axis = 1;           ///< chance of such a rise outside the coil's plane in a curve without one
    double line_r2 = 0;          ///< share of the curve's variance that a straight line explains
    double recurrence = 0;       ///< highest autocorrelation of the detrended curve after its first zero
    double recurrence_lag = 0;   ///< at this many positions
    double gap = 0;              ///< third over fourth variance of the curve's principal components
    std::vector<double> variance_ratio;  ///< of the first six of them
    std::vector<CoilLine> lines;         ///< strongest first, eight at most
    std::int64_t points = 0;             ///< of the thinned curve that was measured
    std::string why_not;                 ///< where nothing could be measured
};

/// Whether a curve [n, d], one row a position in order, is a helix. Detrends; thins to 256 points at most (so
/// 42 turns at most are seen); looks for the frequency (2 turns and up) and the plane in which most of the
/// curve's variance turns one way round: the imaginary part of the cross-spectrum between coordinates, which
/// is 0 for a flat wave and for any curve that runs alike both ways. No principal axes of the curve itself
/// enter, in which any smooth curve shows quadrature.
///
/// Null: random walks, curves of exponentially decaying and of Gaussian autocorrelation, each with the
/// curve's own spread by component, own noise and own length of memory; a surrogate counts when it turns as
/// much, against its kind's mean and deviation at each frequency, is as round, and winds as far as a helix
/// must. Time is a second or less for [1024, 768]. Sources: Mooers (1973), "A technique for the cross
/// spectrum analysis of pairs of complex-valued time series", for the one-way spectrum; Antognini &
/// Sohl-Dickstein (2018), "PCA of high dimensional random walks with comparison to neural network training",
/// for what walks look like.
///
/// Fewer than 32 points, or points that are all equal: shape "none" and the reason in `why_not`.
Coil measure_coil(const Matrix& curve, const CoilOptions& options = {});

}  // namespace tomograph
