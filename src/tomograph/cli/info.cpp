#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/maps/projection.h"
#include "tomograph/model/engine.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
    return fmt::format("[{}]", fmt::join(shape, ", "));
}

Json site_json(const std::vector<SiteShape>& sites) {
    Json json = Json::array();
    for (const SiteShape& site : sites) json.push_back({{"name", site.site.name()}, {"shape", site.shape}});
    return json;
}

/// One line a component: in how many layers, and how wide.
void print_sites(const std::vector<SiteShape>& sites) {
    std::map<Component, std::vector<const SiteShape*>> by_component;
    for (const SiteShape& site : sites) by_component[site.site.component].push_back(&site);
    for (const auto& [component, its_sites] : by_component) {
        const SiteShape& first = *its_sites.front();
        const std::string where = first.site.layer < 0 ? ""
                                                       : fmt::format("layers {} to {}", first.site.layer,
                                                                     its_sites.back()->site.layer);
        say("  {:<11} {:<14} {}\n", component_name(component), shape_text(first.shape), where);
    }
}

void model_info(const std::string& path, bool json) {
    const Model model = Model::open(path);
    const ModelInfo& info = model.info();
    const Engine engine(model, {.max_length = std::min<std::int64_t>(16, info.context_length)});
    if (json) {
        const Json out = {{"kind", "model"},
                          {"name", info.name},
                          {"architecture", info.architecture},
                          {"type", info.type},
                          {"d_model", info.d_model},
                          {"n_layers", info.n_layers},
                          {"n_heads", info.n_heads},
                          {"n_kv_heads", info.n_kv_heads},
                          {"context_length", info.context_length},
                          {"n_vocab", info.n_vocab},
                          {"n_parameters", info.n_parameters},
                          {"file_bytes", info.file_bytes},
                          {"learned_positions", info.learned_positions},
                          {"start_token", info.adds_start_token ? Json(info.start_token) : Json(nullptr)},
                          {"sites", site_json(engine.sites())}};
        print_json(out);
        return;
    }
    say("{}: {}, {} weights, {:.1f} million parameters, {}\n", printable(info.name), info.architecture,
        info.type, static_cast<double>(info.n_parameters) / 1e6,
        bytes_text(static_cast<double>(info.file_bytes)));
    say("{} layers, d_model {}, {} heads ({} for keys and values), vocabulary {}, context {}\n",
        info.n_layers, info.d_model, info.n_heads, info.n_kv_heads, info.n_vocab, info.context_length);
    say("positions: {}; start token: {}\n",
        info.learned_positions ? "learned table" : "rotary or other, no table",
        info.adds_start_token
            ? fmt::format("{} '{}'", info.start_token, printable(model.piece(info.start_token)))
            : "none");
    say("{} sites:\n", engine.sites().size());
    print_sites(engine.sites());
}

/// Errors: Error when a shard is not what was written.
void check_run(const std::filesystem::path& path) {
    std::size_t n_checked = 0;
    const auto damaged = damaged_shards(Run::open(path), &n_checked);
    if (!damaged.empty())
        throw Error(fmt::format("{} is damaged", path.string()),
                    fmt::format("{}: not the bytes that were written", fmt::join(damaged, ", ")),
                    "copy it again, or capture it again");
    say("{}: {} shards, all as they were written\n", path.string(), n_checked);
}

void check(const std::filesystem::path& path) {
    switch (folder_kind(path)) {
        case FolderKind::run:
            return check_run(path);
        case FolderKind::study:
            for (const Json& name : read_json(path / "study.json").at("runs"))
                check_run(path / name.get<std::string>());
            return;
        default:
            throw Error(path.string() + " is no run and no study", "", "only those have checksums");
    }
}

void run_info(const std::string& path, bool json) {
    const Run run = Run::open(path);
    std::uint64_t bytes = 0;
    for (const Json& shard : run.json().at("shards")) bytes += shard.value("bytes", std::uint64_t{0});
    const auto projections = projection_names(run);
    if (json) {
        Json out = {{"kind", "run"}, {"complete", run.complete()}};
        out.update(run.json());
        out["projections"] = projections;
        print_json(out);
        return;
    }
    say("run of {} on {} prompts{}\n", printable(run.model_name()), run.prompts(),
        run.complete() ? "" : ": INCOMPLETE, the capture was stopped; what is listed here can be used");
    say("{} sequences, {} tokens, longest {}; vectors of {} tokens in {} shards, {}\n", run.n_sequences(),
        run.n_tokens(), run.length(), run.n_rows(), run.json().at("shards").size(),
        bytes_text(static_cast<double>(bytes)));
    if (!run.labels().empty()) {
        std::vector<std::string> labels = run.labels();
        for (std::string& label : labels) label = printable(label);
        say("labels: {}\n", fmt::join(labels, ", "));
    }
    say("{} sites:\n", run.sites().size());
    print_sites(run.sites());
    if (!projections.empty()) say("projections: {}\n", fmt::join(projections, ", "));
}

void study_info(const std::filesystem::path& path, bool json) {
    const Json study = read_json(path / "study.json");
    if (json) {
        Json out = {{"kind", "study"}};
        out.update(study);
        print_json(out);
        return;
    }
    say("study of {}{}\n", printable(study.at("model").value("name", "?")),
        study.value("status", "complete") == "complete"
            ? ""
            : ": INCOMPLETE, it was stopped; what is listed here can be used");
    for (const auto& name : study.at("runs")) {
        say("\n{}:\n", name.get<std::string>());
        run_info((path / name.get<std::string>()).string(), false);
    }
}

}  // namespace

void add_info(CLI::App& app) {
    struct Flags {
        std::string what;
        bool json = false, check = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("info", "Say what a model, a run or a study holds");
    command->add_option("MODEL|RUN", flags->what, "GGUF file, built-in model, run or study folder")
        ->required();
    CLI::Option* json = command->add_flag("--json", flags->json, "Print JSON alone");
    command
        ->add_flag("--check", flags->check,
                   "Read all vectors of a run or a study and compare their checksums")
        ->excludes(json);
    command->callback([flags] {
        if (flags->check) return check(flags->what);
        switch (folder_kind(flags->what)) {
            case FolderKind::run:
                return run_info(flags->what, flags->json);
            case FolderKind::study:
                return study_info(flags->what, flags->json);
            default:
                return model_info(flags->what, flags->json);
        }
    });
}

}  // namespace tomograph
