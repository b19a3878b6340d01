#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/model/header.h"
#include "tomograph/sources/cached.h"
#include "tomograph/sources/hub.h"

namespace tomograph {
namespace {

void list_models(bool json) {
    const HubOptions hub = hub_options();
    Json list = Json::array();
    for (const CachedModel& model : cached_models(hub.cache)) {
        Json entry = {{"name", model.name},
                      {"path", model.path.string()},
                      {"bytes", model.bytes},
                      {"files", model.n_files}};
        try {
            const HeaderInfo header = read_header(model.path.string());
            entry["architecture"] = header.architecture;
            entry["type"] = header.type;
        } catch (const Error& e) {
            entry["error"] = e.what();
        }
        list.push_back(std::move(entry));
    }
    if (json) return print_json(list);
    for (const Json& entry : list) {
        const auto files = entry.at("files").get<int>();
        say("{}: {}{}, {}\n", printable(entry.at("name").get<std::string>()),
            bytes_text(entry.at("bytes").get<double>()), files > 1 ? fmt::format(" in {} files", files) : "",
            entry.contains("error")
                ? "cannot be read: " + entry.at("error").get<std::string>()
                : fmt::format("{}, {}", printable(entry.at("architecture").get<std::string>()),
                              entry.at("type").get<std::string>()));
    }
    if (list.empty()) say("no models in {} and {}\n", hub.cache.string(), cache_folder().string());
}

}  // namespace

void add_models(CLI::App& app) {
    auto json = std::make_shared<bool>(false);
    CLI::App* command =
        app.add_subcommand("models", "List the GGUF models in the hub's cache, tomograph's and llama.cpp's");
    command->add_flag("--json", *json, "Print JSON alone");
    command->callback([json] { list_models(*json); });
}

}  // namespace tomograph
