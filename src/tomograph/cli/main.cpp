#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/memory.h"
#include "tomograph/base/text.h"
#include "tomograph/base/version.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/print.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/cli/words.h"
#include "tomograph/figures/text.h"
#include "tomograph/linear/simd.h"
#include "tomograph/model/model.h"

namespace {

constexpr int kFailure = 1, kUsage = 2, kStopped = 130;

/// llama.cpp is about to end the process: its reason, behind its file's name, becomes our line.
void on_fatal(const char* message) {
    const bool worker = std::string_view(message).find("ggml-rpc") != std::string_view::npos;
    tomograph::warn(
        "tomograph: error: {}\n",
        worker ? "a worker was lost: it ended, or the way to it; what whole shards hold is kept: start it "
                 "again and go on with --resume"
               : fmt::format("llama.cpp gave up: {}; please report this with the model's name", message));
    _exit(kFailure);
}

int complain(const std::string& message, int code) {
    tomograph::warn("tomograph: {}\n", tomograph::without_controls(message, false));
    return code;
}

/// A file must not be opened under the number of a standard stream that the caller closed: what is printed
/// would go into it. What is printed to a closed standard output is lost, which is an error, and the others
/// are silent.
void hold_standard_streams() {
    for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(number, F_GETFD) >= 0) continue;
        (void)::open(number == STDOUT_FILENO ? "/dev/full" : "/dev/null", O_RDWR);
    }
}

std::string version_text() {
    const tomograph::Json llama = tomograph::llama_build();
    return fmt::format(
        "tomograph {}\nllama.cpp of {}, ggml {}\n{}\nfloat32 products: {}\nkernels of tomograph: "
        "{}\ngraphics cards: {}",
        tomograph::kVersion, llama.at("release").get<std::string>(), llama.at("ggml").get<std::string>(),
        llama.at("system").get<std::string>(), llama.at("float32_products").get<std::string>(),
        tomograph::simd_name(tomograph::simd_level()), llama.value("graphics_cards", "none"));
}

int complain_of_usage(const std::string& message, const std::string& command) {
    return complain(
        fmt::format("{} (see tomograph {}{}--help)", message, command, command.empty() ? "" : " "), kUsage);
}

}  // namespace

int main(int argc, char** argv) {
    using namespace tomograph;
    hold_standard_streams();
    return_large_blocks();
    set_fatal_handler(on_fatal);
    TerminalProgress progress;
    CLI::App app{"Shows the geometry of a language model's latent space.", "tomograph"};
    app.set_version_flag("-V,--version", version_text);  // asked of llama.cpp when it is wanted
    app.require_subcommand(1);
    app.fallthrough();
    app.add_flag_callback("-q,--quiet", set_quiet, "No notes and no progress, only results and errors");
    app.get_formatter()->column_width(34);
    add_run(app, progress);
    add_capture(app, progress);
    add_project(app, progress);
    add_plot(app);
    add_measure(app, progress);
    add_compare(app, progress);
    add_lens(app, progress);
    add_intervene(app, progress);
    add_sweep(app, progress);
    add_advise(app, progress);
    add_direction(app, progress);
#ifdef TOMOGRAPH_VIEWER
    add_view(app, progress);
#endif
    add_info(app, progress);
    add_export(app);
    add_import(app, progress);
    add_quantize(app, progress);
    add_randomize(app, progress);
    add_convert(app, progress);
    add_models(app);
    add_merge(app, progress);
    add_worker(app);
    add_verify(app, progress);
    add_list(app);
    add_remove(app);
    add_rename(app);
    add_completions(app);
    add_manual(app);
    refuse_slips(app);
    refuse_missing_texts(app);
    std::vector<std::string> arguments = as_meant({argv + 1, argv + argc});
    set_this_command(command_text(arguments));
    try {
        refuse_unknown_words(app, arguments);
        std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
        try {
            app.parse(arguments);
        } catch (const CLI::Success& e) {
            std::ostringstream text, errors;
            app.exit(e, text, errors);  // the help or the version
            print_text(stdout, text.str());
        }
        if (const std::string note = missing_glyphs(); !note.empty()) warn("note: {}\n", note);
        flush_output();
        return 0;
    } catch (const CLI::RuntimeError& e) {
        return e.get_exit_code();  // the command has said why
    } catch (const UnknownWord& e) {
        return complain_of_usage(e.what(), e.command);
    } catch (const CLI::ParseError& e) {
        progress.clear();
        const auto asked = app.get_subcommands();
        const CLI::App* command = asked.empty() ? nullptr : asked.front();
        return complain_of_usage(usage_words(e.what(), command), command ? command->get_name() : "");
    } catch (const Stopped& e) {
        progress.clear();
        return complain(e.what(), kStopped);
    } catch (const Error& e) {
        progress.clear();
        return complain(fmt::format("error: {}", e.what()), kFailure);
    } catch (const std::bad_alloc&) {
        progress.clear();
        return complain("error: not enough memory; select fewer rows or layers, or a shorter --length",
                        kFailure);
    } catch (const std::exception& e) {
        progress.clear();
        return complain(fmt::format("error: {}", e.what()), kFailure);
    }
}
