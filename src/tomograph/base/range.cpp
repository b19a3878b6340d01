#include "tomograph/base/range.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

std::optional<std::int64_t> parse_bound(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
    if (value == std::numeric_limits<std::int64_t>::max())
        return std::nullopt;  // a bound may still be counted on
    return value;
}

}  // namespace

std::string Range::text() const {
    return fmt::format("{}:{}", begin, end ? std::to_string(*end) : "");
}

Range parse_range(std::string_view text, std::string_view what) {
    const auto fail = [&]() -> Range {
        throw Error(fmt::format("'{}' is no range of {}", text, what), "",
                    "write for example 2:9 (half-open), 1: or :5");
    };
    const auto colon = text.find(':');
    Range range;
    if (colon == std::string_view::npos) {
        const auto only = parse_bound(text);
        if (!only) return fail();
        return {*only, *only + 1};
    }
    if (colon > 0) {
        const auto begin = parse_bound(text.substr(0, colon));
        if (!begin) return fail();
        range.begin = *begin;
    }
    if (colon + 1 < text.size()) {
        range.end = parse_bound(text.substr(colon + 1));
        if (!range.end) return fail();
    }
    return range;
}

Range resolve_range(const Range& range, std::int64_t count, std::string_view what) {
    const Range full{range.begin, range.end.value_or(count)};
    if (*full.end > count || full.begin >= count) {
        throw Error(fmt::format("no {} {}", what, range.text()),
                    fmt::format("there are {}: 0 to {}", count, count - 1), "a range is half-open");
    }
    if (full.begin >= *full.end)
        throw Error(fmt::format("{} {} is empty", what, range.text()), "", "a range is half-open");
    return full;
}

}  // namespace tomograph
