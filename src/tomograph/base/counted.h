#pragma once
#include <fmt/format.h>

#include <concepts>
#include <string>
#include <string_view>

namespace tomograph {

/// "1 shard", "0 shards", "12 shards": for nouns that take an s.
inline std::string counted(std::integral auto n, std::string_view noun) {
    return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

}  // namespace tomograph
