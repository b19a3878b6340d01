#include "tomograph/cli/words.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "tomograph/base/closest.h"
#include "tomograph/base/error.h"

namespace tomograph {
namespace {

/// Flags of the program that may stand behind a command, too.
bool is_global(const CLI::App& app, const std::string& flag) {
    const CLI::Option* option = app.get_option_no_throw(flag);
    return option != nullptr && option->check_lname("quiet");
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
        if (asked.get_option_no_throw(flag) != nullptr || is_global(app, flag)) continue;
        std::vector<std::string> flags;
        for (const CLI::Option* option : asked.get_options()) {
            for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
        }
        throw UnknownWord(fmt::format("no flag {}{}", flag, did_you_mean(flag, flags)),
                          command != nullptr ? command->get_name() : "");
    }
}

void refuse_slips(CLI::App& app) {
    for (CLI::Option* option : app.get_options()) {
        if (option->get_expected_max() == 0 || option->get_items_expected_max() == 0) continue;  // a flag
        const bool number = option->get_type_name().starts_with("FLOAT");
        const bool seed = option->check_lname("seed");
        option->check(
            [number, seed](const std::string& value) -> std::string {
                if (value.empty()) return "an empty value means nothing";
                if (number && !std::isfinite(std::strtod(value.c_str(), nullptr)))
                    return fmt::format("{} is no number", value);
                if (seed && value.starts_with('-')) return fmt::format("a seed is 0 or more, not {}", value);
                return "";
            },
            "");
    }
    for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
        refuse_slips(*command);
}

void refuse_missing_texts(CLI::App& app) {
    for (CLI::Option* option : app.get_options()) {
        const bool names_texts = option->check_lname("text") || option->check_lname("jsonl") ||
                                 option->check_lname("csv") || option->check_lname("chat-template");
        if (!names_texts || option->get_items_expected_max() == 0) continue;
        option->check(
            [](const std::string& file) -> std::string {
                if (file != "-" && ::access(file.c_str(), R_OK) != 0)
                    throw Error("cannot open " + file, std::strerror(errno), "");
                return "";
            },
            "");
    }
    for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
        refuse_missing_texts(*command);
}

std::string usage_words(std::string message, const CLI::App* command) {
    constexpr std::string_view kOneTooMany = "The following argument was not expected: ";
    std::error_code ignored;
    if (message.starts_with(kOneTooMany) && command != nullptr &&
        command->get_option_no_throw("--text") != nullptr &&
        std::filesystem::is_regular_file(message.substr(kOneTooMany.size()), ignored))
        return message + "; a text is given with --text";
    // The largest double, in 309 digits.
    const auto range = message.find(" not in range 0.000000 to 1797693");
    const auto value = message.rfind("Value ", range);
    if (range == std::string::npos || value == std::string::npos) return message;
    const std::string given = message.substr(value + 6, range - value - 6);
    return message.substr(0, value) + fmt::format("{} is no positive number", given);
}

}  // namespace tomograph
