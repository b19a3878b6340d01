#pragma once
#include <cstdint>

#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// Regularised incomplete beta function I_x(a, b), for a, b > 0 and x in [0, 1], to about 1e-13: by its
/// continued fraction. Source: Abramowitz & Stegun (1964), 26.5.8.
double incomplete_beta(double a, double b, double x);

/// P(F >= f) of Fisher's F with `above` and `below` degrees of freedom. 1 where f <= 0.
double f_tail(double f, double above, double below);

/// P(T <= t) of Student's t, and its inverse for p in (0, 1).
double student_t(double t, double freedom);
double student_t_quantile(double p, double freedom);

/// Exact 95 % interval of a share of which `count` of `n` draws were seen; 0 to 1 of no draws. Source:
/// Clopper & Pearson (1934).
Interval binomial_interval(std::int64_t count, std::int64_t n);

}  // namespace tomograph
