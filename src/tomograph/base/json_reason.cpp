#include "tomograph/base/json_reason.h"

#include <string_view>

namespace tomograph {
namespace {

/// The library's name of a type in words: "a number"; its null is nothing, its array a list.
std::string in_words(std::string_view type) {
    if (type == "null") return "nothing";
    if (type == "array") return "a list";
    return (type == "object" ? "an " : "a ") + std::string(type);
}

/// What stands in `text` between `before` and the next `after`; the rest where `after` is empty.
std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
    const auto begin = text.find(before);
    if (begin == std::string_view::npos) return {};
    text.remove_prefix(begin + before.size());
    return after.empty() ? text : text.substr(0, text.find(after));
}

}  // namespace

std::string json_reason(const Json::exception& error) {
    std::string_view what = error.what();
    // The numbers of the library's own list of exceptions.
    switch (error.id) {
        case 302:
            return "it holds " + in_words(between(what, "but is ", "")) + " where " +
                   in_words(between(what, "must be ", ",")) + " belongs";
        case 304:
        case 305:
        case 306: {
            const std::string_view type = between(what, "with ", "");
            const std::string wanted = type == "array"    ? "an object"
                                       : type == "object" ? "a list"
                                                          : "an object or a list";
            return "it holds " + in_words(type) + " where " + wanted + " belongs";
        }
        case 401:
            return "a list in it is too short";
        case 403:
            return "it has no " + std::string(between(what, "key ", " not found"));
        default:
            break;
    }
    if (what.starts_with('[')) what = between(what, "] ", "");
    return std::string(what);
}

}  // namespace tomograph
