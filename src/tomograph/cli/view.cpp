#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/output.h"
#include "tomograph/base/process.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/live/live_model.h"
#include "tomograph/maps/projection.h"
#include "tomograph/model/model.h"
#include "tomograph/serve/catalog.h"
#include "tomograph/serve/report.h"
#include "tomograph/serve/server.h"

namespace tomograph {
namespace {

struct ViewFlags {
    std::string run, other;
    std::string host = "127.0.0.1", token, report, model, chat_template;
    int port = 0, threads = 0;
    bool no_open = false, force = false;
};

/// Ask the desktop for a browser; where there is none, the printed address has to do.
void open_browser(const std::string& url) {
    if (std::getenv("DISPLAY") == nullptr && std::getenv("WAYLAND_DISPLAY") == nullptr) return;
    if (const auto program = find_program("xdg-open")) start_program(*program, {url});
}

struct Reader {
    Model model;
    LiveModel live;
    Reader(const ViewFlags& flags, const Run& run, Progress& progress)
        : model(open_held(find_model(flags.model, progress), weights_of(run), flags.threads, side_of(run))),
          live(model, {.chat_template = flags.chat_template.empty() ? "" : read_file(flags.chat_template),
                       .threads = flags.threads}) {}
};

/// Null where no model is given. Errors: Error also when it is the model of none of the runs.
std::unique_ptr<Reader> open_reader(const ViewFlags& flags, Catalog& catalog, Progress& progress) {
    if (flags.model.empty()) return nullptr;
    auto reader = std::make_unique<Reader>(flags, *catalog.run(0), progress);
    std::string refused;
    for (std::size_t i = 0; i < catalog.n_runs(); ++i) {
        try {
            reader->live.check(*catalog.run(i));
            return reader;
        } catch (const Error& e) {
            if (refused.empty()) refused = e.what();
        }
    }
    throw Error(refused, "", "");
}

/// How to get the line for prompts, where the first run's model lies on this machine.
void tell_of_prompts(Catalog& catalog) {
    const Json& model = catalog.run(0)->json().at("model");
    const auto path = model.find("path");
    std::error_code error;
    if (path == model.end() || !path->is_string() ||
        !std::filesystem::exists(path->get<std::string>(), error))
        return;
    warn("note: with --model {} the page gets a line to type prompts in\n",
         shell_quoted(path->get<std::string>()));
}

/// Whoever has typed `plot RUN NAME` types a projection's name here, too. Errors: Error for one.
void refuse_projection(const ViewFlags& flags) {
    if (flags.other.empty() || std::filesystem::exists(flags.other)) return;
    if (folder_kind(flags.run) != FolderKind::run) return;
    const auto names = projection_names(Run::open(flags.run));
    if (std::ranges::find(names, flags.other) == names.end()) return;
    throw Error(fmt::format("'{}' is a projection of {}", flags.other, flags.run),
                "a second name is a run to compare with", "leave it out: the page lists all projections");
}

void view(const ViewFlags& flags, Progress& progress) {
    refuse_projection(flags);
    if (!flags.report.empty()) {
        if (!flags.other.empty()) throw Error("a report shows one run or study", "", "name one folder");
        check_output_file(flags.report, {.force = flags.force});
        write_viewer_report(flags.run, flags.report);
        say(messages_beside(flags.report), "{}\n", flags.report);
        return;
    }
    std::vector<std::filesystem::path> folders{flags.run};
    if (!flags.other.empty()) folders.emplace_back(flags.other);
    Catalog catalog(folders);
    const auto reader = open_reader(flags, catalog, progress);
    ViewServer server(catalog, {.host = flags.host,
                                .port = flags.port,
                                .token = flags.token,
                                .limits = {.threads = flags.threads},
                                .reader = reader ? &reader->live : nullptr});
    server.bind();
    say("{}\n", server.url());
    flush_output();
    if (!reader) tell_of_prompts(catalog);
    if (!flags.no_open) open_browser(server.url());

    std::atomic<bool> over{false};
    std::thread watch([&] {
        while (!over && !progress.stop_requested())
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        server.stop();
    });
    server.run();
    over = true;
    watch.join();
}

}  // namespace

void add_view(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<ViewFlags>();
    CLI::App* command = app.add_subcommand(
        "view", "Look at a run in the browser: turn, colour, filter, lasso, play its layers");
    command->add_option("RUN", flags->run, "Run or study folder")->required();
    command->add_option("RUN_B", flags->other, "A second run, shown in the first one's basis");
    command->add_option("--port", flags->port, "Port to listen on; 0 takes a free one")
        ->capture_default_str()
        ->check(CLI::Range(0, 65535));
    command
        ->add_option(
            "--host", flags->host,
            "Address to listen on; other than this machine's own, the printed address carries a token")
        ->capture_default_str();
    command->add_option("--token", flags->token, "Token to ask for (default: made up where one is needed)");
    command
        ->add_option("--threads", flags->threads,
                     "Threads for projections asked for in the page (default: all)")
        ->check(CLI::PositiveNumber);
    CLI::Option* report = command->add_option(
        "--report", flags->report, "Write the viewer as one file that opens from disk, and serve nothing");
    command->add_flag("--force", flags->force, "Replace an existing report")->needs(report);
    CLI::Option* model =
        command
            ->add_option("--model", flags->model,
                         "The model that the run was captured from: the page gets a line to type prompts in")
            ->excludes(report);
    command
        ->add_option("--chat-template", flags->chat_template,
                     "Jinja template for conversations typed in, a file (default: the model's own)")
        ->check(CLI::ExistingFile)
        ->needs(model);
    command->add_flag("--no-open", flags->no_open, "Print the address only; open no browser");
    command->callback([flags, &progress] { view(*flags, progress); });
}

}  // namespace tomograph
