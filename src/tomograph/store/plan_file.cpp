#include "tomograph/store/plan_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tomograph {

std::string differences_of(const Json& earlier, const Json& now,
                           const std::vector<std::string_view>& ignored) {
    constexpr std::size_t kNamed = 3;
    std::vector<std::string> differences;
    std::size_t more = 0;
    for (const Json& change : Json::diff(earlier, now)) {
        const std::string path = change.at("path").get<std::string>();
        if (std::find(ignored.begin(), ignored.end(), path) != ignored.end()) continue;
        if (differences.size() == kNamed) {
            ++more;
            continue;
        }
        const std::string op = change.at("op").get<std::string>();
        const auto text = [](const Json& json) {
            const std::string value = json_text(json);
            return value.size() <= 60 ? value : value.substr(0, 57) + "...";
        };
        const Json::json_pointer where(path);
        std::string name = path.substr(1);
        std::replace(name.begin(), name.end(), '/', '.');
        if (op == "add")
            differences.push_back(fmt::format("{} is new ({})", name, text(change.at("value"))));
        else if (op == "remove")
            differences.push_back(fmt::format("{} is missing (it was {})", name, text(earlier.at(where))));
        else
            differences.push_back(
                fmt::format("{} was {} and is {}", name, text(earlier.at(where)), text(change.at("value"))));
    }
    return fmt::format("{}{}", fmt::join(differences, ", "),
                       more > 0 ? fmt::format(", and {} more", more) : "");
}

std::vector<PartShards> part_shards(const Json& plan) {
    const std::size_t n_shards = plan.at("shard_ends").size();
    if (!plan.contains("part_ends")) return {{0, n_shards}};
    std::vector<PartShards> parts;
    std::size_t begin = 0;
    for (const Json& entry : plan.at("part_ends")) {
        const auto end = whole_number<std::size_t>(entry, "a part's end");
        if (end < begin || end > n_shards) throw JsonError("its parts are not those of its shards");
        parts.push_back({begin, end});
        begin = end;
    }
    if (parts.empty() || begin != n_shards) throw JsonError("its parts are not those of its shards");
    return parts;
}

}  // namespace tomograph
