#include "tomograph/cli/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace tomograph {

std::string command_text(const std::vector<std::string>& arguments) {
    std::string text = "tomograph";
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "--force" || word == "--resume" || word.starts_with("--out=")) continue;
        if (word == "--out") {
            ++i;
            continue;
        }
        const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
            return std::isalnum(c) != 0 ||
                   std::string_view("-_./:=,+@%").find(static_cast<char>(c)) != std::string_view::npos;
        });
        text += ' ';
        if (plain) {
            text += word;
            continue;
        }
        text += '\'';
        for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
        text += '\'';
    }
    return text;
}

namespace {
std::string& command() {
    static std::string text;
    return text;
}
}  // namespace

const std::string& this_command() {
    return command();
}

void set_this_command(std::string text) {
    command() = std::move(text);
}

void print_json(const Json& json) {
    fmt::print("{}\n", json_text(json, 1));
}

}  // namespace tomograph
