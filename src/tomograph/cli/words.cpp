#include "tomograph/cli/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace tomograph {
namespace {

/// Optimal string alignment distance: insertions, deletions, replacements, and swaps of neighbours.
std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before = std::exchange(last, row);
    }
    return last.back();
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
    const auto meant = closest(word, candidates);
    return meant ? fmt::format("; did you mean {}?", *meant) : "";
}

}  // namespace

std::vector<std::string> as_meant(std::vector<std::string> arguments) {
    if (arguments.empty()) return {"--help"};
    if (arguments.front() == "version" && arguments.size() == 1) return {"--version"};
    if (arguments.front() == "help" && arguments.size() == 1) return {"--help"};
    if (arguments.front() == "help" && arguments.size() == 2) return {arguments[1], "--help"};
    return arguments;
}

std::optional<std::string> closest(const std::string& word, const std::vector<std::string>& candidates) {
    std::optional<std::string> best;
    std::size_t least = word.size() / 3 + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t d = distance(word, candidate);
        if (d >= least) continue;
        least = d;
        best = candidate;
    }
    return best;
}

void refuse_unknown_words(const CLI::App& app, const std::vector<std::string>& arguments) {
    const CLI::App* command = nullptr;
    const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
    for (const std::string& argument : arguments) {
        if (argument == "--") return;
        if (argument.size() < 2 || argument.front() != '-') {
            if (command != nullptr) continue;
            std::vector<std::string> names;
            for (const CLI::App* one : commands) {
                names.push_back(one->get_name());
                if (names.back() == argument) command = one;
            }
            if (command == nullptr)
                throw UnknownWord(fmt::format("no command '{}'{}", argument, did_you_mean(argument, names)),
                                  "");
            continue;
        }
        const bool is_long = argument[1] == '-';
        if (!is_long && std::isalpha(static_cast<unsigned char>(argument[1])) == 0) continue;  // a number
        const CLI::App& asked = command != nullptr ? *command : app;
        const std::string flag = is_long ? argument.substr(0, argument.find('=')) : argument.substr(0, 2);
        if (asked.get_option_no_throw(flag) != nullptr) continue;
        std::vector<std::string> flags;
        for (const CLI::Option* option : asked.get_options()) {
            for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
        }
        throw UnknownWord(fmt::format("no flag {}{}", flag, did_you_mean(flag, flags)),
                          command != nullptr ? command->get_name() : "");
    }
}

}  // namespace tomograph
