#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace tomograph {

/// Numbers along an axis. Linear or logarithmic.
struct Scale {
    double low = 0.0, high = 1.0;
    bool log = false;

    /// 0 at low, 1 at high. Values that a logarithmic scale cannot show give NaN.
    double place(double value) const;
};

/// The smallest scale that holds the values it was shown.
class ScaleFinder {
  public:
    explicit ScaleFinder(bool log = false) : log_(log) {}
    /// Values that are not finite (or not positive on a logarithmic scale) are passed over: returns false.
    bool add(double value);
    bool empty() const { return count_ == 0; }
    /// With `margin` times its extent added at both ends. One value only gives a scale around it.
    Scale scale(double margin = 0.0) const;

  private:
    bool log_;
    double low_ = 0.0, high_ = 0.0;
    std::size_t count_ = 0;
};

struct Tick {
    double value = 0.0;
    std::string label;  ///< empty: a mark without a number
};

struct Ticks {
    std::vector<Tick> ticks;
    /// Power of ten that was taken out of the labels: write ×10^power at the axis. 0: none.
    int power = 0;
};

/// About `count` round numbers within the scale; on a logarithmic one powers of ten (and unlabelled marks
/// between them where there are few). `whole`: no fractions, for layers and positions.
Ticks find_ticks(const Scale& scale, int count, bool whole = false);

/// " (×10⁵)" for a power that find_ticks() took out, else nothing.
std::string power_note(const Ticks& ticks);

/// "10⁴".
std::string power_of_ten(int exponent);

}  // namespace tomograph
