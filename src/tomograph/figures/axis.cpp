#include "tomograph/figures/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tomograph {
namespace {

/// The nearest of 1, 2, 5 times a power of ten at or above `step`.
double round_step(double step) {
    const double power = std::pow(10.0, std::floor(std::log10(step)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= step * (1.0 - 1e-9)) return factor * power;
    }
    return 10.0 * power;
}

/// A number with a true minus sign.
std::string number(double value, int decimals) {
    std::string text = fmt::format("{:.{}f}", std::abs(value), decimals);
    const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
    return value < 0.0 && !is_zero ? "−" + text : text;
}

Ticks linear_ticks(const Scale& scale, int count, bool whole) {
    double step = round_step((scale.high - scale.low) / std::max(1, count));
    if (whole) step = std::max(step, 1.0);
    Ticks result;
    const double largest = std::max(std::abs(scale.low), std::abs(scale.high));
    if (!whole && (largest >= 1e5 || largest < 1e-3))
        result.power = static_cast<int>(std::floor(std::log10(largest)));
    const double unit = std::pow(10.0, result.power);
    const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step / unit) + 1e-9)));
    const double first = std::ceil(scale.low / step - 1e-6);
    const double last = std::floor(scale.high / step + 1e-6);
    for (double i = first; i <= last && result.ticks.size() < 100; ++i) {
        result.ticks.push_back({i * step, number(i * step / unit, decimals)});
    }
    return result;
}

Ticks log_ticks(const Scale& scale, int count) {
    Ticks result;
    const double decades = std::log10(scale.high / scale.low);
    const int first = static_cast<int>(std::floor(std::log10(scale.low)));
    const int last = static_cast<int>(std::ceil(std::log10(scale.high)));
    const int every = std::max(1, static_cast<int>(std::ceil(decades / (std::max(1, count) + 0.5))));
    const auto inside = [&](double value) {
        return value >= scale.low * (1.0 - 1e-9) && value <= scale.high * (1.0 + 1e-9);
    };
    for (int exponent = first; exponent <= last; ++exponent) {
        for (int factor = 1; factor <= 9; ++factor) {
            const double value = factor * std::pow(10.0, exponent);
            if (!inside(value)) continue;
            if (decades < 2.0 && exponent >= -3 && exponent <= 4 &&
                (factor == 1 || factor == 2 || factor == 5)) {
                // Few decades: plain numbers between the powers too, or there would be next to no labels.
                result.ticks.push_back({value, number(value, std::max(0, -exponent))});
            } else if (factor == 1 && exponent % every == 0) {
                result.ticks.push_back({value, power_of_ten(exponent)});
            } else if (factor == 1 || (every == 1 && decades < 6.0)) {
                result.ticks.push_back({value, ""});
            }
        }
    }
    const auto labelled = std::count_if(result.ticks.begin(), result.ticks.end(),
                                        [](const Tick& t) { return !t.label.empty(); });
    // Within a part of one decade there may be none at all: then count as on a linear scale.
    if (labelled < 2) return linear_ticks(scale, count, false);
    return result;
}

}  // namespace

double Scale::place(double value) const {
    if (!log) return (value - low) / (high - low);
    if (!(value > 0.0)) return std::numeric_limits<double>::quiet_NaN();
    return std::log(value / low) / std::log(high / low);
}

bool ScaleFinder::add(double value) {
    if (!std::isfinite(value) || (log_ && value <= 0.0)) return false;
    low_ = count_ == 0 ? value : std::min(low_, value);
    high_ = count_ == 0 ? value : std::max(high_, value);
    ++count_;
    return true;
}

Scale ScaleFinder::scale(double margin) const {
    if (count_ == 0) return {log_ ? 0.1 : 0.0, 1.0, log_};
    if (log_) {
        // Narrower than this, the ends of the axis would round to the same number.
        const double ratio = std::max(high_ / low_, 1.0 + 1e-6);
        if (high_ / low_ < 1.0 + 1e-6) return {low_ / 2.0, high_ * 2.0, true};
        const double factor = std::pow(ratio, margin);
        return {low_ / factor, high_ * factor, true};
    }
    const double extent = high_ - low_;
    if (extent <= std::max(std::abs(low_), std::abs(high_)) * 1e-9) {
        const double around = low_ == 0.0 ? 1.0 : std::abs(low_) * 0.1;
        return {low_ - around, high_ + around, false};
    }
    return {low_ - margin * extent, high_ + margin * extent, false};
}

Ticks find_ticks(const Scale& scale, int count, bool whole) {
    return scale.log ? log_ticks(scale, count) : linear_ticks(scale, count, whole);
}

std::string power_note(const Ticks& ticks) {
    return ticks.power == 0 ? "" : fmt::format(" (×{})", power_of_ten(ticks.power));
}

std::string power_of_ten(int exponent) {
    static const char* const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    std::string text = exponent < 0 ? "10⁻" : "10";
    for (const char digit : std::to_string(std::abs(exponent))) text += digits[digit - '0'];
    return text;
}

}  // namespace tomograph
