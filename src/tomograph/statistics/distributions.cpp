#include "tomograph/statistics/distributions.h"

#include <math.h>  // lgamma_r

#include <cmath>
#include <initializer_list>
#include <limits>

namespace tomograph {
namespace {

/// log |gamma(x)|. std::lgamma() keeps the sign in one place for all threads, and every measure calls this
/// from several.
double log_gamma(double x) {
    int sign = 0;
    return ::lgamma_r(x, &sign);
}

/// The continued fraction by Lentz's method; converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
    constexpr double kTiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (std::abs(d) < kTiny ? kTiny : d);
    double fraction = d;
    for (int m = 1; m < 500; ++m) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double factor = 1;
        for (const double term : {even, odd}) {
            d = 1 + term * d;
            c = 1 + term / c;
            d = 1 / (std::abs(d) < kTiny ? kTiny : d);
            if (std::abs(c) < kTiny) c = kTiny;
            factor = c * d;
            fraction *= factor;
        }
        if (std::abs(factor - 1) < 1e-15) break;
    }
    return fraction;
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
    if (!(x > 0)) return 0;
    if (x >= 1) return 1;
    const double front =
        std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) + b * std::log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double f_tail(double f, double above, double below) {
    if (!(f > 0)) return 1;
    if (std::isinf(f)) return 0;
    return incomplete_beta(below / 2, above / 2, below / (below + above * f));
}

double student_t(double t, double freedom) {
    const double tail = 0.5 * incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t));
    return t > 0 ? 1 - tail : tail;
}

double student_t_quantile(double p, double freedom) {
    double low = -1, high = 1;
    while (student_t(low, freedom) > p) low *= 2;
    while (student_t(high, freedom) < p) high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-13 * (1 + std::abs(low)); ++i) {
        const double middle = 0.5 * (low + high);
        (student_t(middle, freedom) < p ? low : high) = middle;
    }
    return 0.5 * (low + high);
}

Interval binomial_interval(std::int64_t count, std::int64_t n) {
    const auto k = static_cast<double>(count), all = static_cast<double>(n);
    // Where I_x(a, b) is p.
    const auto beta_quantile = [](double p, double a, double b) {
        double lo = 0, hi = 1;
        for (int i = 0; i < 60; ++i) {
            const double middle = 0.5 * (lo + hi);
            (incomplete_beta(a, b, middle) < p ? lo : hi) = middle;
        }
        return 0.5 * (lo + hi);
    };
    return {count > 0 ? beta_quantile(0.025, k, all - k + 1) : 0,
            count < n ? beta_quantile(0.975, k + 1, all - k) : 1};
}

}  // namespace tomograph
