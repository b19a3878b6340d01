#include "tomograph/store/run_acts.h"

#include <fmt/format.h>

#include <initializer_list>
#include <utility>

namespace tomograph {

std::string acts_of(const Run& run) {
    const auto capture = run.json().find("capture");
    if (capture == run.json().end() || !capture->is_object() || !capture->contains("acts")) return "";
    std::string text;
    for (const Json& act : capture->at("acts")) {
        if (!act.is_object()) continue;
        const auto word = [&](const char* key) {
            if (!act.contains(key)) return std::string();
            return act.at(key).is_string() ? act.at(key).get<std::string>() : json_text(act.at(key));
        };
        text += fmt::format("{}{} {}", text.empty() ? "" : ", then ", word("act"), word("site"));
        for (const auto& [key, before] :
             std::initializer_list<std::pair<const char*, const char*>>{{"heads", " heads "},
                                                                        {"coordinates", " coordinates "},
                                                                        {"positions", " at "},
                                                                        {"label", " where "},
                                                                        {"direction", " along "},
                                                                        {"from", " from "},
                                                                        {"strength", " by "}}) {
            if (act.contains(key)) text += before + word(key);
        }
    }
    return text;
}

}  // namespace tomograph
