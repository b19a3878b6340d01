#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tomograph {

/// A half-open range as the command line writes it: "2:9", "1:", ":5", "3" (that one alone), ":" (all).
struct Range {
    std::int64_t begin = 0;
    std::optional<std::int64_t> end;  ///< none: to the last

    bool contains(std::int64_t i) const { return i >= begin && (!end || i < *end); }
    bool operator==(const Range&) const = default;
    std::string text() const;
};

/// Errors: Error when `text` is no range; `what` names it in the message ("layers").
Range parse_range(std::string_view text, std::string_view what);

/// The range with its end filled in. Errors: Error when it is empty or a bound lies past `count`.
Range resolve_range(const Range& range, std::int64_t count, std::string_view what);

}  // namespace tomograph
