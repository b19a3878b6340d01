// Names of models on a hub, and which of a repository's files is meant.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <regex>

#include "tomograph/base/error.h"
#include "tomograph/sources/hub.h"

namespace tomograph {
namespace {

std::string lower(std::string text) {
    for (char& letter : text) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return text;
}

const std::regex& part_ending() {
    static const std::regex ending("-[0-9]{5}-of-[0-9]{5}$");
    return ending;
}

/// "dir/model-Q4_K_M-00001-of-00003.gguf" is "dir/model-Q4_K_M".
std::string stem_of(const std::string& file) {
    return std::regex_replace(file.substr(0, file.size() - std::string(".gguf").size()), part_ending(), "");
}

/// Does a model's stem end with the weights' type, or stand in a folder of that name?
bool is_of_type(const std::string& stem, const std::string& type) {
    const std::string name = lower(stem), wanted = lower(type);
    if (name.ends_with(wanted)) {
        const std::size_t before = name.size() - wanted.size();
        if (before == 0 || std::string("-._/").find(name[before - 1]) != std::string::npos) return true;
    }
    return ("/" + name).find("/" + wanted + "/") != std::string::npos;
}

}  // namespace

std::string HubName::text() const {
    return fmt::format("hf:{}{}{}", repository, revision == "main" ? "" : "@" + revision,
                       file.empty() ? "" : ":" + file);
}

bool is_hub_name(const std::string& text) {
    return text.starts_with("hf:");
}

HubName parse_hub_name(const std::string& text) {
    static const std::regex form(
        "hf:([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)(@([A-Za-z0-9][A-Za-z0-9._/"
        "-]*))?(:(.+))?");
    std::smatch match;
    if (!std::regex_match(text, match, form) || text.find("..") != std::string::npos)
        throw Error("no name of a model on a hub: " + text, "",
                    "write hf:org/name, hf:org/name:FILE.gguf or hf:org/name:Q4_K_M");
    HubName name{.repository = match[1], .file = match[5]};
    if (match[3].matched) name.revision = match[3];
    return name;
}

std::vector<std::string> choose_gguf(const std::vector<std::string>& files, const std::string& wanted,
                                     const std::string& shown) {
    // Parts of one model go together. What sees images, what was imported for quantising, is no model.
    std::map<std::string, std::vector<std::string>> models;
    for (const std::string& file : files) {
        if (!lower(file).ends_with(".gguf")) continue;
        const std::string name = lower(file.substr(file.rfind('/') + 1));
        const bool other =
            name.find("mmproj") != std::string::npos || name.find("imatrix") != std::string::npos;
        if (!other || file == wanted) models[stem_of(file)].push_back(file);
    }
    if (models.empty()) {
        const bool folder = std::ranges::find(files, "config.json") != files.end();
        throw Error(shown + " has no GGUF file", folder ? "it holds a model folder of Hugging Face" : "",
                    folder ? "download the folder and convert it: tomograph convert FOLDER --out FILE.gguf"
                           : "name a repository that has one");
    }
    std::vector<std::string> stems;
    for (auto& [stem, parts] : models) {
        std::ranges::sort(parts);
        const bool named = std::ranges::any_of(
            parts, [&](const std::string& part) { return part == wanted || part.ends_with("/" + wanted); });
        if (named) return parts;
        if (wanted.empty() || is_of_type(stem, wanted)) stems.push_back(stem);
    }
    if (stems.size() == 1) return models[stems.front()];
    constexpr std::size_t kShown = 12;
    std::vector<std::string> list;
    for (const auto& [stem, parts] : models) {
        if (stems.empty() || std::ranges::find(stems, stem) != stems.end()) list.push_back(parts.front());
    }
    const std::size_t more = list.size() > kShown ? list.size() - kShown : 0;
    list.resize(list.size() - more);
    const std::string all =
        fmt::format("{}{}", fmt::join(list, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
    if (stems.empty())
        throw Error(fmt::format("{} has no GGUF file '{}'", shown, wanted), "it has " + all, "");
    throw Error(fmt::format("{} has {} GGUF models{}", shown, stems.size(),
                            wanted.empty() ? "" : " '" + wanted + "'"),
                all, fmt::format("say which: {}:FILE", shown));
}

}  // namespace tomograph
