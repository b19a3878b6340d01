#include "tomograph/cli/model_source.h"

#include <fmt/format.h>

#include "tomograph/cli/options.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/model/graphics.h"
#include "tomograph/model/workers.h"
#include "tomograph/sources/hub.h"

namespace tomograph {
namespace {

constexpr double kWorthANote = 50e6;  // bytes of memory: what takes less is said by run.json alone

}  // namespace

std::string find_model(const std::string& name, Progress& progress) {
    if (!is_hub_name(name)) return name;
    const HubName parsed = as_usage([&] { return parse_hub_name(name); });
    const HubModel model = fetch_hub_model(parsed, hub_options(), progress);
    print_notes(model.notes);
    return model.path.string();
}

CLI::Option* add_weights(CLI::App& command, std::string& weights) {
    command
        .add_option_function<std::vector<std::string>>(
            "--rpc",
            [](const std::vector<std::string>& addresses) {
                std::vector<WorkerAddress> workers;
                for (const std::string& one : addresses)
                    workers.push_back(as_usage([&] { return parse_worker_address(one); }));
                use_workers(workers);
            },
            "HOST:PORT of every worker (tomograph worker) that the model's layers are to be spread over")
        ->delimiter(',');
    command
        .add_option_function<int>(
            "--gpu-layers", [](int n) { use_gpu_layers(n); },
            "Layers that lie on graphics cards, the last ones (default: all, where the program was built for "
            "cards and finds one)")
        ->check(CLI::NonNegativeNumber);
    return command
        .add_option(
            "--weights", weights,
            "How weights are held: as-stored, f32 (decoded into memory: nearer to what was stored, and "
            "faster for more than a few tokens), or auto (f32 where it fits into half of the memory "
            "that is free)")
        ->capture_default_str()
        ->check(CLI::IsMember({"as-stored", "f32", "auto"}));
}

std::string weights_of(const Run& run) {
    return run.json().at("model").value("held", "").empty() ? "as-stored" : "f32";
}

CLI::Option* add_side(CLI::App& command, std::string& side) {
    return command
        .add_option("--side", side,
                    "Of an encoder and a decoder in one file (T5): source, the encoder (the default), or "
                    "target, the decoder, which attends to the source")
        ->check(CLI::IsMember({"source", "target"}));
}

Side side_named(const std::string& side) {
    return side == "target" ? Side::target : Side::source;
}

std::string side_of(const Run& run) {
    return run.json().at("model").value("side", "");
}

Model open_held(const std::string& file, const std::string& weights, int threads, const std::string& side) {
    Model model =
        Model::open(file, as_usage([&] { return parse_held_weights(weights); }), threads, side_named(side));
    const ModelInfo& info = model.info();
    if (side.empty() && info.side == "source")
        print_notes(
            {fmt::format("{} is read as the encoder that it has; --side target is its decoder", info.name)});
    const double bytes = static_cast<double>(info.n_parameters) * sizeof(float);
    if (!info.held.empty() && bytes >= kWorthANote)
        print_notes({fmt::format("the {} weights are decoded and multiplied in {}, which takes {} of memory",
                                 info.type, info.held, bytes_text(bytes))});
    return model;
}

}  // namespace tomograph
