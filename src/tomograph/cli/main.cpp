#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/memory.h"
#include "tomograph/base/version.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/cli/words.h"
#include "tomograph/model/model.h"

namespace {

constexpr int kFailure = 1, kUsage = 2, kStopped = 130;

/// llama.cpp is about to end the process: its reason becomes our line.
void on_fatal(const char* message) {
    fmt::print(stderr, "tomograph: error: llama.cpp gave up: {}; please report this with the model's name\n",
               message);
    _exit(kFailure);
}

int complain(const std::string& message, int code) {
    fmt::print(stderr, "tomograph: {}\n", message);
    return code;
}

int complain_of_usage(const std::string& message, const std::string& command) {
    return complain(
        fmt::format("{} (see tomograph {}{}--help)", message, command, command.empty() ? "" : " "), kUsage);
}

}  // namespace

int main(int argc, char** argv) {
    using namespace tomograph;
    return_large_blocks();
    set_fatal_handler(on_fatal);
    TerminalProgress progress;
    CLI::App app{"Shows the geometry of a language model's latent space.", "tomograph"};
    app.set_version_flag("-V,--version", std::string("tomograph ") + kVersion);
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    add_run(app, progress);
    add_capture(app, progress);
    add_project(app, progress);
    add_plot(app);
    add_measure(app, progress);
    add_compare(app, progress);
#ifdef TOMOGRAPH_VIEWER
    add_view(app, progress);
#endif
    add_info(app);
    add_export(app);
    add_import(app, progress);
    add_quantize(app);
    add_randomize(app);
    std::vector<std::string> arguments = as_meant({argv + 1, argv + argc});
    try {
        refuse_unknown_words(app, arguments);
        std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
        app.parse(arguments);
        return 0;
    } catch (const CLI::Success& e) {
        return app.exit(e);
    } catch (const CLI::RuntimeError& e) {
        return e.get_exit_code();  // the command has said why
    } catch (const UnknownWord& e) {
        return complain_of_usage(e.what(), e.command);
    } catch (const CLI::ParseError& e) {
        progress.clear();
        const auto asked = app.get_subcommands();
        return complain_of_usage(e.what(), asked.empty() ? "" : asked.front()->get_name());
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
