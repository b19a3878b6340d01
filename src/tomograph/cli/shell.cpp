// What a shell wants to know of the program, made of the parser itself: completions and manual pages.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "tomograph/base/version.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"

namespace tomograph {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    const auto all = app.get_subcommands([](const CLI::App*) { return true; });
    return {all.begin(), all.end()};
}

/// "--out" and the like, without help's short forms.
std::vector<std::string> flags_of(const CLI::App& command) {
    std::vector<std::string> flags;
    for (const CLI::Option* option : command.get_options()) {
        for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
    std::sort(flags.begin(), flags.end());
    return flags;
}

/// Words that an option takes, of "{pca,umap}" in its type; none: a file.
std::vector<std::string> values_of(const CLI::Option& option) {
    const std::string type = option.get_type_name();
    const auto open = type.find('{'), close = type.find('}');
    std::vector<std::string> words;
    if (open == std::string::npos || close == std::string::npos) return words;
    std::istringstream in(type.substr(open + 1, close - open - 1));
    for (std::string word; std::getline(in, word, ',');) words.push_back(word);
    return words;
}

/// One function, for zsh as well, which reads it by bashcompinit.
std::string bash_completion(const CLI::App& app) {
    std::string names, cases;
    for (const CLI::App* command : commands_of(app)) {
        names += (names.empty() ? "" : " ") + command->get_name();
        std::string values;
        for (const CLI::Option* option : command->get_options()) {
            const auto words = values_of(*option);
            if (words.empty()) continue;
            for (const std::string& name : option->get_lnames())
                values += fmt::format("                --{}) words='{}' ;;\n", name, fmt::join(words, " "));
        }
        cases += fmt::format("        {})\n            flags='{}'\n", command->get_name(),
                             fmt::join(flags_of(*command), " "));
        if (!values.empty()) cases += "            case $before in\n" + values + "            esac\n";
        cases += "            ;;\n";
    }
    return fmt::format(R"(# Completion of tomograph for bash and zsh:  source <(tomograph completions bash)
[ -z "$ZSH_VERSION" ] || {{ autoload -U +X bashcompinit && bashcompinit; }}
_tomograph() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command='' flags='' words='' i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${{COMP_WORDS[i]}} == -* ]] || {{ command=${{COMP_WORDS[i]}}; break; }}
    done
    if [[ -z $command ]]; then
        COMPREPLY=($(compgen -W '{} --help --version --quiet' -- "$word"))
        return
    fi
    case $command in
{}    esac
    if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$word"))
    elif [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word"))
    else COMPREPLY=($(compgen -f -- "$word"))
    fi
}}
complete -o filenames -F _tomograph tomograph
)",
                       names, cases);
}

std::string fish_completion(const CLI::App& app) {
    std::string text = "# Completion of tomograph for fish:  tomograph completions fish | source\n";
    for (const CLI::App* command : commands_of(app)) {
        text += fmt::format("complete -c tomograph -n __fish_use_subcommand -f -a {} -d {}\n",
                            command->get_name(), shell_quoted(command->get_description()));
        for (const CLI::Option* option : command->get_options()) {
            const auto words = values_of(*option);
            for (const std::string& name : option->get_lnames())
                text +=
                    fmt::format("complete -c tomograph -n '__fish_seen_subcommand_from {}' -l {} -d {}{}\n",
                                command->get_name(), name, shell_quoted(option->get_description()),
                                words.empty() ? "" : fmt::format(" -x -a '{}'", fmt::join(words, " ")));
        }
    }
    return text;
}

/// For troff: a line must not begin with a dot or an apostrophe, and dashes are to stay dashes.
std::string troff(const std::string& text) {
    std::string safe = text.starts_with('.') || text.starts_with('\'') ? "\\&" : "";
    for (const char c : text) safe += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
    return safe;
}

void add_options(const CLI::App& command, std::string& text) {
    for (const CLI::Option* option : command.get_options()) {
        std::string value = option->get_type_name();
        if (option->get_items_expected_max() == 0) value.clear();
        text += fmt::format(".TP\n.B {}{}\n{}\n", troff(option->get_name(option->get_positional())),
                            value.empty() ? "" : " " + troff(value), troff(option->get_description()));
    }
}

std::string manual(const CLI::App& app) {
    std::string text = fmt::format(".TH TOMOGRAPH 1 \"\" \"tomograph {}\"\n.SH NAME\ntomograph \\- {}\n",
                                   kVersion, troff(app.get_description()));
    text += ".SH SYNOPSIS\n.B tomograph\n.I command\n[\\fIoptions\\fR]\n.SH OPTIONS\n";
    add_options(app, text);
    text += ".SH COMMANDS\n";
    for (const CLI::App* command : commands_of(app)) {
        text += fmt::format(".SS {}\n{}\n", troff(command->get_name()), troff(command->get_description()));
        add_options(*command, text);
    }
    return text +
           ".SH EXIT STATUS\n0 done; 1 it failed, and one line says why; 2 wrong usage; 3 what --fail-on "
           "named was "
           "found; 130 stopped.\n";
}

}  // namespace

void add_completions(CLI::App& app) {
    auto shell = std::make_shared<std::string>();
    CLI::App* command =
        app.add_subcommand("completions", "Print what a shell completes the program's words by");
    command->add_option("SHELL", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    command->callback([shell, &app] {
        print_text(stdout, *shell == "fish" ? fish_completion(app) : bash_completion(app));
    });
}

void add_manual(CLI::App& app) {
    CLI::App* command = app.add_subcommand("manual", "Print the manual page: tomograph manual | man -l -");
    command->callback([&app] { print_text(stdout, manual(app)); });
}

}  // namespace tomograph
