#include "tomograph/study/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tomograph/base/random.h"
#include "tomograph/base/version.h"
#include "tomograph/capture/capture.h"
#include "tomograph/figures/gnuplot.h"
#include "tomograph/figures/measures.h"
#include "tomograph/model/randomize.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/run.h"
#include "tomograph/study/figures.h"

namespace tomograph {
namespace {

constexpr std::int64_t kVocabularyRows = 4096;
constexpr std::size_t kTwinSequences = 8;     // twins differ by more than their samples err
constexpr std::int64_t kLongestTable = 2048;  // positions of a learned table that are drawn

/// What the published study recorded, in network order; `z` and `resid_pre` are the sums' other sides.
std::vector<Component> study_components(const std::vector<SiteShape>& sites) {
    std::vector<Component> present;
    for (const Component component :
         {Component::embed, Component::pos_embed, Component::ln1, Component::attn_out, Component::resid_mid,
          Component::ln2, Component::mlp_out, Component::resid_post, Component::ln_final}) {
        if (std::any_of(sites.begin(), sites.end(),
                        [&](const SiteShape& s) { return s.site.component == component; }))
            present.push_back(component);
    }
    return present;
}

/// The token that stands most often in the text, and not first: the one whose repetition means least.
std::int32_t most_frequent_token(const PromptSet& text) {
    std::map<std::int32_t, std::int64_t> counts;
    for (const Sequence& sequence : text.sequences) {
        for (std::size_t p = 1; p < sequence.tokens.size(); ++p) ++counts[sequence.tokens[p]];
    }
    if (counts.empty()) return text.sequences.front().tokens.front();
    return std::max_element(counts.begin(), counts.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->first;
}

/// The first of the prompts.
PromptSet beginning(const PromptSet& prompts, std::size_t most) {
    PromptSet first = prompts;
    if (first.sequences.size() <= most) return first;
    first.sequences.resize(most);
    if (first.texts.size() > most) first.texts.resize(most);
    std::int64_t longest = 0;
    for (const Sequence& sequence : first.sequences) longest = std::max(longest, sequence.length());
    first.description["sequences"] = most;
    first.description["length"] = longest;
    return first;
}

/// Prompts through the same architecture with random weights.
Run capture_twin(const Model& model, const PromptSet& text, const std::filesystem::path& folder,
                 const CaptureOptions& options, const RandomizeOptions& how, Progress& progress) {
    const std::filesystem::path weights = folder.string() + ".gguf";
    randomize(model.info().path, weights, how);
    try {
        const Model twin = Model::open(weights.string());
        capture(twin, text, folder, options, progress);
    } catch (...) {
        std::filesystem::remove(weights);
        throw;
    }
    std::filesystem::remove(weights);
    return Run::open(folder);
}

/// A picture of the vectors, where there is one, shows a finding better than one of its numbers.
void prefer_pictures(const std::vector<Figure>& figures, MeasureReport& report) {
    static const std::map<std::string, std::string> kPictures{
        {"attn_mlp_separation", study_figure("attention-mlp-unit-3d")},
        {"first_token_norm", study_figure("norm-by-position")},
        {"position_helix", study_figure("position-table-3d")},
        {"layer_paths", study_figure("layer-paths-2d")}};
    for (Finding& finding : report.findings) {
        const auto picture = kPictures.find(finding.name);
        if (picture == kPictures.end()) continue;
        for (const Figure& figure : figures) {
            if (figure.file == picture->second) finding.figure = figure.file;
        }
    }
}

/// What the text run says by itself.
Json numbers_of(const Run& text) {
    Json numbers = Json::object();
    if (const auto ratio = first_token_ratio(text)) {
        numbers["first_token_norm_ratio"] = ratio->ratio;
        numbers["first_token_norm_site"] = ratio->site.name();
    }
    if (const auto cosine = attention_mlp_cosine(text, middle_layers(text.n_layers()), Range{1, {}}))
        numbers["attention_mlp_cosine"] = {
            {"mean", cosine->mean}, {"deviation", cosine->deviation}, {"pairs", cosine->pairs}};
    return numbers;
}

}  // namespace

StudySummary make_study(const Model& model, const std::filesystem::path& out, const StudyOptions& options,
                        Progress& progress) {
    const ModelInfo& info = model.info();
    find_gnuplot();  // a missing program should not show after the captures
    const PromptSet text =
        text_prompts(model.vocabulary(),
                     {.files = options.text, .sequences = options.sequences, .length = options.length});
    OutputFolder folder(out, FolderKind::study, options.force ? Begin::replace : Begin::fresh);
    StudySummary summary;
    summary.notes = text.notes;

    Json description = {{"format", kRunFormat},
                        {"program", {{"name", "tomograph"}, {"version", kVersion}}},
                        {"status", "incomplete"}};
    description["model"] = model_json(info);
    description["seed"] = options.seed;
    description["runs"] = Json::array();

    // What a killed study leaves is known for a study by this, and may be replaced.
    write_json(folder.path() / "study.json", description);

    std::vector<Component> components;
    {
        const auto engine = model.make_engine(
            {.max_length = std::min<std::int64_t>(16, info.context_length), .threads = options.threads});
        components = study_components(engine->sites());
    }
    CaptureOptions capturing{.components = components,
                             .dtype = options.dtype,
                             .threads = options.threads,
                             .seed = options.seed,
                             .command = options.command};
    const auto record = [&](const std::string& name, const PromptSet& prompts,
                            const std::vector<Component>& with_vectors) {
        capturing.vector_components = with_vectors;
        const CaptureSummary captured = capture(model, prompts, folder.path() / name, capturing, progress);
        for (const std::string& note : captured.notes) summary.notes.push_back(name + ": " + note);
        description["runs"].push_back(name);
        write_json(folder.path() / "study.json", description);
        folder.keep();
        return Run::open(folder.path() / name);
    };

    const Run text_run = record("text", text, {});
    // From here on the folder has its name.
    std::filesystem::create_directories(folder.path() / "figures");
    StudyFigures figures(folder.path(), options.threads, options.seed, progress);
    const Run repeat_run = record(
        "repeat",
        repeat_prompts(model.vocabulary(), {.token = most_frequent_token(text), .length = options.length}),
        {});
    const Run vocabulary_run =
        record("vocabulary",
               vocabulary_prompts(model.vocabulary(),
                                  {.rows = std::min(kVocabularyRows, info.n_vocab), .seed = options.seed}),
               {Component::embed});
    // A learned table is shown whole; rotary positions at the length of the text.
    const std::int64_t length =
        info.learned_positions ? std::min(info.context_length, kLongestTable) : options.length;
    std::vector<Component> position_vectors{Component::resid_post};
    if (info.learned_positions) position_vectors.push_back(Component::pos_embed);
    const Run positions_run = record(
        "positions", positions_prompts(model, {.length = length, .seed = options.seed}), position_vectors);

    std::vector<Run> twin_runs;
    capturing.vector_components.clear();
    // Of a twin nothing but effects is measured.
    std::erase_if(capturing.components, [](Component component) {
        return component != Component::pos_embed && component != Component::attn_out &&
               component != Component::mlp_out && component != Component::resid_post;
    });
    const auto add_twin = [&](const std::string& name, RandomizeOptions how) {
        how.threads = options.threads;
        twin_runs.push_back(capture_twin(model, beginning(text, kTwinSequences), folder.path() / name,
                                         capturing, how, progress));
        description["runs"].push_back(name);
    };
    for (int i = 1; i <= options.twins; ++i)
        add_twin(fmt::format("twin-{}", i), {.seed = mix(options.seed, static_cast<std::uint64_t>(i))});
    if (options.twins > 0) add_twin("twin-spectrum", {.keep = TwinKeeps::spectrum, .seed = options.seed});
    std::vector<const Run*> twins;
    for (const Run& twin : twin_runs) twins.push_back(&twin);

    // Numbers first, and kept before anything is drawn: a figure must not cost them.
    summary.measures = measure_run(
        text_run,
        {.twins = twins, .positions = &positions_run, .seed = options.seed, .threads = options.threads},
        progress);
    save_measures(text_run, summary.measures);
    summary.numbers = numbers_of(text_run);

    figures.text(text_run);
    figures.positions(positions_run);
    figures.vocabulary(vocabulary_run);
    figures.repeat(repeat_run);
    if (figures.variance_explained()) summary.numbers["variance_explained_2"] = *figures.variance_explained();
    const MeasureFigures of_measures = draw_measures(text_run, summary.measures, folder.path());
    summary.figures = figures.figures();
    prefer_pictures(summary.figures, summary.measures);
    for (const MeasureFigure& figure : of_measures.drawn)
        summary.figures.push_back({figure.file, "The findings' numbers", figure.caption});
    save_findings(text_run, summary.measures);
    summary.failed = figures.failed();
    summary.failed.insert(summary.failed.end(), of_measures.failed.begin(), of_measures.failed.end());

    for (const Figure& figure : summary.figures)
        description["figures"].push_back(
            {{"file", figure.file}, {"group", figure.group}, {"caption", figure.caption}});
    description["numbers"] = summary.numbers;
    description["findings"] = findings_json(summary.measures).at("findings");
    description["notes"] = summary.notes;
    for (const std::string& failed : summary.failed) description["notes"].push_back(failed);
    description["status"] = "complete";
    write_json(folder.path() / "study.json", description);
    return summary;
}

}  // namespace tomograph
