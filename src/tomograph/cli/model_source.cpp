#include "tomograph/cli/model_source.h"

#include <fmt/format.h>

#include "tomograph/cli/options.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/sources/hub.h"

namespace tomograph {

std::string find_model(const std::string& name, Progress& progress) {
    if (!is_hub_name(name)) return name;
    const HubName parsed = as_usage([&] { return parse_hub_name(name); });
    const HubModel model = fetch_hub_model(parsed, hub_options(), progress);
    print_notes(model.notes);
    return model.path.string();
}

void add_weights(CLI::App& command, std::string& weights) {
    command
        .add_option("--weights", weights,
                    "Quantised weights: as-stored, f32 (decoded into memory: nearer to what was stored, and "
                    "faster on "
                    "most processors), or auto (f32 where it fits)")
        ->capture_default_str()
        ->check(CLI::IsMember({"as-stored", "f32", "auto"}));
}

Model open_held(const std::string& file, const std::string& weights, int threads) {
    Model model = Model::open(file, as_usage([&] { return parse_held_weights(weights); }), threads);
    const ModelInfo& info = model.info();
    if (!info.held.empty())
        print_notes(
            {fmt::format("the {} weights are decoded and multiplied in {}, which takes {} of memory",
                         info.type, info.held, bytes_text(static_cast<double>(info.n_parameters) * 4))});
    return model;
}

}  // namespace tomograph
