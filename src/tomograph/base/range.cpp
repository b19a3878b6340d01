#include "tomograph/base/range.h"

#include <fmt/format.h>

#include <charconv>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

constexpr std::int64_t kFarthest = std::int64_t{1} << 40;  // bounds are counted on: far from overflow

std::optional<std::int64_t> parse_bound(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (value > kFarthest || value < -kFarthest) return std::nullopt;
    return value;
}

/// `bound`, of `count` things, counted from the start.
std::int64_t from_start(std::int64_t bound, std::int64_t count) {
    return bound < 0 ? bound + count : bound;
}

}  // namespace

bool Range::contains(std::int64_t i, std::int64_t count) const {
    return i >= from_start(begin, count) && i < (end ? from_start(*end, count) : count);
}

std::string Range::text() const {
    return fmt::format("{}:{}", begin, end ? std::to_string(*end) : "");
}

Range parse_range(std::string_view text, std::string_view what) {
    const auto fail = [&]() -> Range {
        throw Error(fmt::format("'{}' is no range of {}", text, what), "",
                    "write for example 2:9 (half-open), 1:, :5, or -1 for the last");
    };
    const auto colon = text.find(':');
    Range range;
    if (colon == std::string_view::npos) {
        const auto only = parse_bound(text);
        if (!only) return fail();
        if (*only == -1) return {-1, std::nullopt};
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
    const Range full{from_start(range.begin, count), from_start(range.end.value_or(count), count)};
    if (*full.end > count || full.begin >= count || full.begin < 0 || *full.end < 0) {
        throw Error(fmt::format("no {} {}", what, range.text()),
                    fmt::format("there are {}: 0 to {}", count, count - 1), "a range is half-open");
    }
    if (full.begin >= *full.end)
        throw Error(fmt::format("{} {} is empty", what, range.text()), "", "a range is half-open");
    return full;
}

}  // namespace tomograph
