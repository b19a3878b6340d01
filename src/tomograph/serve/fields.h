#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/json.h"

namespace tomograph {

/// A whole number of an object that anybody may have written; `absent` where the key is. Errors: Error when
/// it is no whole number or does not fit (the library would cast 1e300 to an int and say nothing).
template <std::integral Number>
Number whole(const Json& object, const char* key, Number absent) {
    const auto found = object.find(key);
    if (found == object.end()) return absent;
    if (found->is_number_unsigned()) {
        const auto value = found->get<std::uint64_t>();
        if (std::in_range<Number>(value)) return static_cast<Number>(value);
    } else if (found->is_number_integer()) {
        const auto value = found->get<std::int64_t>();
        if (std::in_range<Number>(value)) return static_cast<Number>(value);
    }
    throw Error(std::string(key) + " must be a whole number", "", "");
}

}  // namespace tomograph
