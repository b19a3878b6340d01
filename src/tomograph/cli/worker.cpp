#include <csignal>
#include <memory>
#include <string>

#include "tomograph/cli/commands.h"
#include "tomograph/cli/options.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/model/workers.h"

namespace tomograph {

void add_worker(CLI::App& app) {
    struct Flags {
        std::string host = "127.0.0.1";
        int port = 50052;
        int threads = 0;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command =
        app.add_subcommand("worker", "Compute layers for models that are run elsewhere with --rpc");
    command
        ->add_option("--host", flags->host,
                     "Address to listen on. Whoever reaches it can use this machine: there is no password")
        ->capture_default_str();
    command->add_option("--port", flags->port, "Port to listen on")
        ->capture_default_str()
        ->check(CLI::Range(1, 65535));
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->callback([flags] {
        // It holds nothing that would have to be put in order first.
        std::signal(SIGINT, SIG_DFL);
        std::signal(SIGTERM, SIG_DFL);
        if (!flags->host.starts_with("127."))
            print_notes({"whoever reaches " + flags->host +
                         " can use this worker, and what is sent can be read on the way: use a tunnel or a "
                         "closed network"});
        serve_worker(flags->host, flags->port, flags->threads);
    });
}

}  // namespace tomograph
