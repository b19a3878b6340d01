#include "tomograph/study/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tomograph/base/error.h"
#include "tomograph/base/version.h"
#include "tomograph/capture/capture.h"
#include "tomograph/figures/gnuplot.h"
#include "tomograph/figures/measures.h"
#include "tomograph/model/randomize.h"
#include "tomograph/store/let_go.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/run.h"
#include "tomograph/study/figures.h"
#include "tomograph/study/plan.h"

namespace tomograph {
namespace {

/// What a run's stream would answer, kept in it. What cannot be had is noted and costs nothing else.
void add_lens(const Model& model, const PlannedRun& planned, const std::filesystem::path& folder,
              std::vector<std::string>& notes, Progress& progress) {
    if (!planned.lens) return;
    try {
        const Run run = Run::open(folder);
        save_lens(run, measure_lens(model, run, *planned.lens, progress));
    } catch (const Error& error) {
        notes.push_back(std::string("no lens: ") + error.what());
    }
}

/// Prompts through the same architecture with random weights. What is measured of it stays.
CaptureSummary capture_twin(const Model& model, const PlannedRun& planned,
                            const std::filesystem::path& folder, const MeasureOptions& measuring,
                            Progress& progress) {
    const std::filesystem::path weights = folder.string() + ".gguf";
    randomize(model.info().path, weights, *planned.twin);
    try {
        // Held as the model is: a control differs in one thing only.
        const Model twin =
            Model::open(weights.string(), held_weights(model.info()), planned.capturing.threads);
        CaptureSummary captured = capture(twin, planned.prompts, folder, planned.capturing, progress);
        add_lens(twin, planned, folder, captured.notes, progress);
        std::filesystem::remove(weights);
        if (planned.let_go) {
            keep_twin_effects(Run::open(folder), measuring, progress);
            let_go_of_vectors(folder);
        }
        return captured;
    } catch (...) {
        std::filesystem::remove(weights);
        throw;
    }
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
    find_gnuplot();  // a missing program should not show after the captures
    const StudyPlan plan = plan_study(model, options, progress);
    OutputFolder folder(out, FolderKind::study, options.force ? Begin::replace : Begin::fresh);
    if (options.planned) options.planned(plan);
    StudySummary summary;
    summary.notes = plan.notes;

    Json description = {{"format", kRunFormat},
                        {"program", {{"name", "tomograph"}, {"version", kVersion}}},
                        {"status", "incomplete"}};
    description["model"] = model_json(model.info());
    description["seed"] = options.seed;
    description["runs"] = Json::array();

    // What a killed study leaves is known for a study by this, and may be replaced.
    write_json(folder.path() / "study.json", description);

    MeasureOptions measuring{.twins = {}, .seed = options.seed, .threads = options.threads};
    std::map<std::string, Run> runs;
    for (const PlannedRun& planned : plan.runs) {
        const std::filesystem::path path = folder.path() / planned.name;
        const CaptureSummary captured =
            planned.twin ? capture_twin(model, planned, path, measuring, progress)
                         : capture(model, planned.prompts, path, planned.capturing, progress);
        for (const std::string& note : captured.notes) summary.notes.push_back(planned.name + ": " + note);
        description["runs"].push_back(planned.name);
        write_json(folder.path() / "study.json", description);
        folder.keep();
        // From here on the folder has its name.
        if (!planned.twin) add_lens(model, planned, folder.path() / planned.name, summary.notes, progress);
        summary.runs.push_back(planned.name);
        runs.emplace(planned.name, Run::open(folder.path() / planned.name));
    }
    std::filesystem::create_directories(folder.path() / "figures");
    const Run& text_run = runs.at("text");
    const auto find = [&](const char* name) {
        const auto found = runs.find(name);
        return found == runs.end() ? nullptr : &found->second;
    };
    for (const PlannedRun& planned : plan.runs) {
        if (planned.twin) measuring.twins.push_back(&runs.at(planned.name));
    }
    measuring.positions = find("positions");
    measuring.repeat = find("repeat");
    measuring.planted = find("planted");

    // Numbers first, and kept before anything is drawn: a figure must not cost them.
    summary.measures = measure_run(text_run, measuring, progress);
    save_measures(text_run, summary.measures);
    summary.numbers = numbers_of(text_run);

    StudyFigures figures(folder.path(), options.threads, options.seed, progress);
    figures.text(text_run, measuring.twins.empty() ? nullptr : measuring.twins.front());
    if (const Run* run = find("positions")) figures.positions(*run);
    if (const Run* run = find("vocabulary")) {
        const Run* alone = find("vocabulary-alone");
        figures.vocabulary(*run, alone != nullptr ? alone : find("vocabulary-start"));
    }
    if (const Run* run = find("repeat")) figures.repeat(*run);
    figures.finish();
    summary.numbers.update(figures.numbers());
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
