#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "tomograph/base/counted.h"
#include "tomograph/base/text.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/maps/projection.h"
#include "tomograph/model/model.h"
#include "tomograph/store/run.h"
#include "tomograph/store/run_acts.h"

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

void model_info(const std::string& path, const std::string& side, bool json) {
    const Model model = Model::open(path, HeldWeights::as_stored, 0, side_named(side));
    const ModelInfo& info = model.info();
    const Vocabulary& vocabulary = model.vocabulary();
    const auto [start, adds_start] =
        std::pair(vocabulary.info().start_token, vocabulary.info().adds_start_token);
    const auto engine = model.make_engine({.max_length = std::min<std::int64_t>(16, info.context_length)});
    std::map<TokenType, std::int64_t> types;
    for (std::int32_t token = 0; token < info.n_vocab; ++token) ++types[vocabulary.type(token)];
    if (json) {
        Json out = {{"kind", "model"}};
        out.update(model_json(info));
        out["start_token"] = adds_start ? Json(*start) : Json(nullptr);
        for (const auto& [type, count] : types) out["tokens"][std::string(token_type_name(type))] = count;
        if (!vocabulary.info().notes.empty()) out["notes"] = vocabulary.info().notes;
        out["sites"] = site_json(engine->sites());
        print_json(out);
        return;
    }
    print_notes(vocabulary.info().notes);
    say("{}: {}, {} weights, {:.1f} million parameters, {}{}\n", printable(info.name), info.architecture,
        info.type, static_cast<double>(info.n_parameters) / 1e6,
        bytes_text(static_cast<double>(info.file_bytes)),
        info.n_files > 1 ? fmt::format(" in {} files", info.n_files) : "");
    say("{} layers, d_model {}, {} heads ({} for keys and values), vocabulary {}, context {}\n",
        info.n_layers, info.d_model, info.n_heads, info.n_kv_heads, info.n_vocab, info.context_length);
    if (!info.side.empty())
        say("two sides: this is the {}; --side {} of capture reads the other\n",
            info.side == "source" ? "source's, an encoder" : "target's, a decoder",
            info.side == "source" ? "target" : "source");
    if (!info.causal) say("every token sees all of its sequence, also what follows it\n");
    say("positions: {}; start token: {}\n",
        info.learned_positions ? "learned table" : "rotary or other, no table",
        adds_start ? fmt::format("{} '{}'", *start, printable(vocabulary.piece(*start))) : "none");
    std::string kinds;
    for (const auto& [type, count] : types)
        kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count, token_type_name(type));
    say("tokens: {}\n", kinds);
    say("{} sites:\n", engine->sites().size());
    print_sites(engine->sites());
}

void run_info(const std::string& path, bool json) {
    const Run run = Run::open(path);
    std::uint64_t bytes = 0;
    for (const Json& shard : run.json().at("shards")) {
        for (const Json& file : shard.at("files")) bytes += file.at("bytes").get<std::uint64_t>();
    }
    const auto projections = projection_names(run);
    if (json) {
        Json out = {{"kind", "run"}, {"complete", run.complete()}};
        out.update(run.json());
        out["projections"] = projections;
        print_json(out);
        return;
    }
    say("run of {} on {} prompts{}\n", printable(run.model_name()), run.prompts(),
        run.complete() ? ""
                       : fmt::format(": INCOMPLETE, {} of {} tokens; what is listed here can be used, and "
                                     "capture --resume goes on",
                                     run.n_tokens(), run.planned_tokens()));
    say("{}, {}, longest {}; vectors of {} in {}, {}\n", counted(run.n_sequences(), "sequence"),
        counted(run.n_tokens(), "token"), run.length(), counted(run.n_rows(), "token"),
        counted(run.json().at("shards").size(), "shard"), bytes_text(static_cast<double>(bytes)));
    if (const std::string acts = acts_of(run); !acts.empty())
        say("the model was changed while it read: {}\n", printable(acts));
    if (!run.labels().empty()) {
        std::vector<std::string> labels = run.labels();
        for (std::string& label : labels) label = printable(label);
        say("labels: {}\n", fmt::join(labels, ", "));
    }
    for (const LabelColumn& column : run.columns()) {
        std::vector<std::string> words = column.words;
        for (std::string& word : words) word = printable(word);
        say("{}: {}\n", column.name, column.counts() ? "numbers" : fmt::format("{}", fmt::join(words, ", ")));
    }
    if (!run.scores().empty()) say("scores: {}\n", fmt::join(run.scores(), ", "));
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

void add_info(CLI::App& app, Progress& progress) {
    struct Flags {
        std::string what, side;
        bool json = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("info", "Say what a model, a run or a study holds");
    command
        ->add_option("MODEL|RUN", flags->what,
                     "GGUF file, hf:org/name from a hub, built-in model, run or study folder")
        ->required();
    add_side(*command, flags->side);
    command->add_flag("--json", flags->json, "Print JSON alone");
    command->callback([flags, &progress] {
        switch (folder_kind(flags->what)) {
            case FolderKind::run:
                return run_info(flags->what, flags->json);
            case FolderKind::study:
                return study_info(flags->what, flags->json);
            default:
                return model_info(find_model(flags->what, progress), flags->side, flags->json);
        }
    });
}

}  // namespace tomograph
