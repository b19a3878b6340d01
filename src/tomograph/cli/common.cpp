#include "tomograph/cli/common.h"

#include "tomograph/cli/print.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace tomograph {

std::string command_text(const std::vector<std::string>& arguments) {
    std::string text = "tomograph";
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "--force" || word == "--resume" || word.starts_with("--out=") ||
            word.starts_with("--part="))
            continue;
        if (word == "--out" || word == "--part") {
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
        text += shell_quoted(word);
    }
    return text;
}

std::string shell_quoted(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + '\'';
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
    // What without_controls() makes of a character above ASCII is how JSON writes it too.
    std::string text = json_text(json, 1) + "\n";
    for (std::size_t at = 0; (at = text.find('\x7f', at)) != std::string::npos;)
        text.replace(at, 1, "\\u007f");
    print_text(stdout, text);
}

}  // namespace tomograph
