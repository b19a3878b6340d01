#pragma once
#include <CLI/CLI.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace tomograph {

/// What the hand types and other programs understand, in our own words: "help", "help COMMAND" and "version";
/// nothing at all asks for help.
std::vector<std::string> as_meant(std::vector<std::string> arguments);

/// A word of the command line that means nothing.
struct UnknownWord : std::runtime_error {
    UnknownWord(const std::string& what, std::string its_command)
        : std::runtime_error(what), command(std::move(its_command)) {}
    std::string command;  ///< whose help to look at; empty: the program's
};

/// CLI11 asks for what is missing before it looks at what it does not know, and the flag that was misspelt is
/// then called missing. Errors: UnknownWord for the first command or flag that there is not, with what was
/// probably meant.
void refuse_unknown_words(const CLI::App& app, const std::vector<std::string>& arguments);

/// Let every option of the program refuse what no option means: an empty value (a shell variable that was not
/// set), a number that is NaN or infinite, which passes every range, and a seed below 0, which would be
/// another one's.
void refuse_slips(CLI::App& app);

/// Let every option that names texts to read say at once that one cannot be opened: a model takes long to
/// load. Errors while parsing: Error.
void refuse_missing_texts(CLI::App& app);

/// What CLI11 says of a bad value, without its limits of numbers that have none; of a file that `command`
/// (null: none) did not expect, how it takes texts.
std::string usage_words(std::string message, const CLI::App* command);

}  // namespace tomograph
