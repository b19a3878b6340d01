#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tomograph {

/// A half-open range as the command line writes it: "2:9", "1:", ":5", "3" (that one alone), ":" (all). A
/// negative bound counts from the end: "-1" is the last one, "-8:-1" the seven before it.
struct Range {
    std::int64_t begin = 0;
    std::optional<std::int64_t> end;  ///< none: to the last

    /// Does a bound count from the end?
    bool from_end() const { return begin < 0 || (end && *end < 0); }
    /// Is i, of `count` of them, in the range? What a bound from the end puts before the first begins there:
    /// of three, "-8:" are all.
    bool contains(std::int64_t i, std::int64_t count) const;
    bool operator==(const Range&) const = default;
    std::string text() const;
};

/// Errors: Error when `text` is no range; `what` names it in the message ("layers").
Range parse_range(std::string_view text, std::string_view what);

/// The range with its end filled in and both bounds counted from the start. Errors: Error when it is empty,
/// or a bound lies past `count` or before 0.
Range resolve_range(const Range& range, std::int64_t count, std::string_view what);

}  // namespace tomograph
