#include "tomograph/findings/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "tomograph/base/error.h"
#include "tomograph/findings/heads.h"
#include "tomograph/findings/labelled_rows.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/outlier_board.h"
#include "tomograph/findings/reference_outliers.h"
#include "tomograph/findings/rotation.h"
#include "tomograph/findings/site_rows.h"
#include "tomograph/findings/twin_effects.h"
#include "tomograph/select/experts.h"
#include "tomograph/store/run_acts.h"

namespace tomograph {
namespace {

void require_same_kind(const Run& run, const Run& other, const char* what) {
    const auto differ = [&](const std::string& why) {
        throw Error(fmt::format("{} is no {} of {}", other.path().string(), what, run.path().string()), why,
                    "capture it from the same model with the same prompts");
    };
    if (run.d_model() != other.d_model() || run.n_layers() != other.n_layers()) {
        differ(fmt::format("it has {} layers of width {}, the run {} of {}", other.n_layers(),
                           other.d_model(), run.n_layers(), run.d_model()));
    }
    if (run.tokens().token_id != other.tokens().token_id || run.tokens().sequence != other.tokens().sequence)
        differ("it read other tokens");
}

void require_twin(const Run& run, const Run& twin) {
    const auto differ = [&](const std::string& why) {
        throw Error(fmt::format("{} is no twin of {}", twin.path().string(), run.path().string()), why,
                    "capture it with the same prompts; fewer --sequences will do");
    };
    if (run.d_model() != twin.d_model() || run.n_layers() != twin.n_layers()) {
        differ(fmt::format("it has {} layers of width {}, the run {} of {}", twin.n_layers(), twin.d_model(),
                           run.n_layers(), run.d_model()));
    }
    const auto begins = [](const auto& all, const auto& first) {
        return first.size() <= all.size() && std::equal(first.begin(), first.end(), all.begin());
    };
    if (twin.n_tokens() == 0 || !begins(run.tokens().token_id, twin.tokens().token_id) ||
        !begins(run.tokens().sequence, twin.tokens().sequence))
        differ("it read other tokens");
}

/// What one run shows: effects by place in the list (none where a finding was not measured), and the rest.
struct Measured {
    std::vector<std::optional<Effect>> effects;
    std::map<std::string, Json> tables;
    std::vector<std::string> notes;
    Json how;
    std::vector<int> layers;
    int n_groups = 0;
    std::vector<Outlier> outliers, first_tokens;
    std::vector<float> outlier_scores;
    double outlier_threshold = kNoNumber;
    std::optional<OutlierTest> outlier_test;
};

void list_outliers(Subject& subject, const OutlierBoard& board, Measured& measured) {
    if (subject.run.n_rows() == 0) return;
    if (subject.options.reference != nullptr) {
        ReferenceOutliers found = test_against_reference(subject);
        measured.outliers = std::move(found.outliers);
        measured.outlier_test = std::move(found.test);
    } else {
        measured.outlier_threshold = board.threshold(subject.options.false_alarm_rate);
        measured.outliers = board.outliers(measured.outlier_threshold);
    }
    measured.first_tokens = board.first_tokens();
    measured.outlier_scores = board.token_scores();
    if (Json found = board.found_labels(); !found.empty()) subject.tables["found_labels"] = std::move(found);
}

Measured measure_one(const Run& run, const MeasureOptions& options, bool effects_only, Progress& progress) {
    Subject subject(run, options, effects_only, progress);
    // Scores say what a vector is on a few axes; of its single coordinates, and of how many axes there are,
    // they say nothing.
    const bool from_scores = run.has_scores();
    std::vector<std::unique_ptr<Measurement>> measurements;
    std::vector<std::size_t> place;
    for (std::size_t i = 0; i < finding_kinds().size(); ++i) {
        const FindingKind& kind = *finding_kinds()[i];
        if (kind.needs == Needs::router && !keeps_routers(run)) continue;
        if (kind.needs == Needs::labels && !has_labels(run)) continue;
        if (kind.needs == Needs::rope_off && (effects_only || options.rope_off == nullptr)) continue;
        if (kind.needs == Needs::rope_doses && (effects_only || options.rope_doses.empty())) continue;
        if (kind.needs == Needs::context && (effects_only || options.context == nullptr)) continue;
        if (!options.only.empty() && std::ranges::find(options.only, kind.name) == options.only.end())
            continue;
        if (kind.needs_vectors && from_scores) continue;
        measurements.push_back(kind.measure(subject));
        place.push_back(i);
    }
    std::optional<OutlierBoard> board;
    if (!effects_only && options.only.empty()) board.emplace(run, subject.sites, subject.census.left_out);
    visit_sites(subject, measurements, board ? &*board : nullptr);

    Measured measured;
    measured.effects.resize(finding_kinds().size());
    for (std::size_t i = 0; i < measurements.size(); ++i)
        measured.effects[place[i]] = measurements[i]->finish();
    for (std::size_t i = 0; from_scores && i < finding_kinds().size(); ++i) {
        if (finding_kinds()[i]->needs_vectors && options.only.empty())
            measured.effects[i] =
                Effect{.unmeasurable =
                           "the run keeps scores on a few axes; capture with --keep vectors (a few "
                           "sequences do)"};
    }
    if (from_scores)
        subject.notes.emplace_back(
            "the run keeps scores on a few axes: everything but norms is of what these hold of the vectors");
    if (!effects_only) {
        if (board) {
            list_outliers(subject, *board, measured);
            measure_heads(subject);
        }
        subject.tables["sinks"] = describe_sinks(run, subject.census.sinks);
        if (options.planted != nullptr)
            subject.tables["sinks"]["planted"] = describe_planted(*options.planted, run);
        subject.tables["sites"] = subject.site_lines;
    }
    measured.tables = std::move(subject.tables);
    measured.notes = std::move(subject.notes);
    measured.layers = subject.layers;
    measured.n_groups = subject.sample.n_groups;
    measured.how = {{"rows", subject.sample.size()},     {"rows_to_draw_from", subject.sample.n_candidates},
                    {"groups", subject.sample.n_groups}, {"seed", options.seed},
                    {"bootstrap", options.bootstrap},    {"middle_layers", subject.layers}};
    return measured;
}

std::int64_t rows_of_twins(const MeasureOptions& options) {
    return std::min(options.rows, kTwinRows);
}

MeasuredTwin measure_twin(const Run& run, const MeasureOptions& options, Progress& progress) {
    MeasureOptions of_twins = options;
    of_twins.rows = rows_of_twins(options);
    of_twins.twins.clear();
    of_twins.positions = of_twins.repeat = of_twins.planted = nullptr;
    const Measured measured = measure_one(run, of_twins, true, progress);
    run.release();
    MeasuredTwin twin = begin_twin(run);
    for (std::size_t i = 0; i < measured.effects.size(); ++i) {
        if (measured.effects[i]) twin.values[i] = measured.effects[i]->value;
    }
    twin.rows = measured.how["rows"].get<std::int64_t>();
    twin.rows_asked = of_twins.rows;
    twin.seed = options.seed;
    return twin;
}

/// One after the other, those of one kind together. What is kept of those whose vectors were let go is taken
/// as it is; `notes` say where it was drawn otherwise than is asked now.
std::vector<MeasuredTwin> measure_twins(const MeasureOptions& options, std::vector<std::string>& notes,
                                        Progress& progress) {
    std::vector<MeasuredTwin> twins;
    std::string other;
    for (const Run* run : options.twins) {
        std::optional<MeasuredTwin> kept = run->n_rows() == 0 ? load_effects(*run) : std::nullopt;
        if (kept && (kept->seed != options.seed || kept->rows_asked != rows_of_twins(options)))
            other = fmt::format("{} rows and seed {}", kept->rows_asked, kept->seed);
        twins.push_back(kept ? std::move(*kept) : measure_twin(*run, options, progress));
    }
    if (!other.empty())
        notes.push_back(
            fmt::format("the twins' vectors were let go: their effects are those of {}, as the "
                        "study measured them",
                        other));
    std::ranges::stable_sort(twins, {}, &MeasuredTwin::kind);
    return twins;
}

/// The charts of a finding, each with the controls that its lines do not show.
void take_charts(std::vector<Chart>& from, const Finding& finding, const std::vector<int>& layers,
                 MeasureReport& report) {
    for (Chart& chart : from) {
        const bool first = &chart == &from.front();
        if (first) chart.findings.push_back(finding.name);
        if (auto* lines = std::get_if<LayerChart>(&chart.shape); lines != nullptr && first) {
            for (const Control& control : finding.controls) {
                if (!std::isnan(control.value) &&
                    std::ranges::find(lines->drawn_controls, control.name) == lines->drawn_controls.end())
                    lines->levels.push_back(control);
            }
            const bool twins_drawn =
                std::ranges::find(lines->drawn_controls, "twins") != lines->drawn_controls.end();
            for (const TwinEffects& twins : finding.twins) {
                if (!twins_drawn) lines->levels.push_back({twins.kind + " twins", mean_of(twins.values)});
            }
            lines->first_level_layer = layers.front();
            lines->last_level_layer = layers.back();
        }
        report.charts.push_back(std::move(chart));
    }
}

/// Findings without a figure of their own are shown by another's.
void share_charts(MeasureReport& report) {
    for (const FindingKind* kind : finding_kinds()) {
        if (kind->shown_by == nullptr) continue;
        for (Chart& chart : report.charts) {
            if (!chart.findings.empty() && chart.findings.front() == kind->shown_by->name)
                chart.findings.emplace_back(kind->name);
        }
    }
}

void check_options(const Run& run, const MeasureOptions& options) {
    for (const Run* twin : options.twins) require_twin(run, *twin);
    if (options.rope_off != nullptr) {
        require_same_kind(run, *options.rope_off, "run without rotation");
        if (!options.rope_off->json().at("capture").value("rope_off", false)) {
            throw Error(options.rope_off->path().string() + " was captured with rotation on", "",
                        "capture it with --rope-off");
        }
    }
    for (const Run* dose : options.rope_doses) {
        require_same_kind(run, *dose, "run at another speed of rotation");
        if (rope_frequency(*dose) == rope_frequency(run))
            throw Error(dose->path().string() + " was captured at the run's own speed of rotation", "",
                        "capture it with another --rope-frequency");
    }
    if (options.context != nullptr) {
        require_same_kind(run, *options.context, "run with a short context");
        if (short_context(*options.context) == 0)
            throw Error(options.context->path().string() + " was captured with all of the context", "",
                        "capture it with --context N");
        if (short_context(*options.context) >= run.length())
            throw Error(options.context->path().string() + " was captured with all of the context",
                        fmt::format("{} tokens are as many as a sequence has", run.length()),
                        "capture it with a shorter --context");
        if (short_context(run) != 0)
            throw Error(run.path().string() + " was captured with a short context itself", "",
                        "capture it without --context");
    }
    const auto require_same_model = [&](const Run* other, const char* what) {
        if (other == nullptr ||
            (other->model_name() == run.model_name() && other->d_model() == run.d_model()))
            return;
        throw Error(fmt::format("{} has no {} of {}", other->path().string(), what, run.path().string()),
                    "it is of another model", "capture it from the same one");
    };
    require_same_model(options.positions, "positions");
    require_same_model(options.repeat, "repeated token");
    require_same_model(options.planted, "planted start token");
    if (options.planted != nullptr && !options.planted->json().at("prompts").contains("planted"))
        throw Error(options.planted->path().string() + " holds no planted start token", "",
                    "capture it with --plant-start POSITION");
    if (options.repeat != nullptr && options.repeat->prompts() != "repeat")
        throw Error(options.repeat->path().string() + " holds no repeated token",
                    "it is of prompts " + options.repeat->prompts(), "capture it with --prompts repeat");
    if (options.reference != nullptr) require_reference(run, *options.reference);
    for (const std::string& name : options.only) {
        if (std::ranges::find(finding_kinds(), name, &FindingKind::name) == finding_kinds().end())
            throw Error("no finding " + name, "", "tomograph measure --list names them");
    }
    if (options.rows < 16)
        throw Error("too few rows to measure", std::to_string(options.rows), "use at least 16");
}

}  // namespace

std::vector<std::string> finding_names() {
    std::vector<std::string> names;
    for (const FindingKind* kind : finding_kinds()) {
        if (kind->needs == Needs::nothing) names.emplace_back(kind->name);
    }
    return names;
}

void keep_twin_effects(const Run& twin, const MeasureOptions& options, Progress& progress) {
    save_effects(twin, measure_twin(twin, options, progress));
}

MeasureReport measure_run(const Run& run, const MeasureOptions& options, Progress& progress) {
    check_options(run, options);
    Measured measured = measure_one(run, options, false, progress);
    const std::vector<MeasuredTwin> twins = measure_twins(options, measured.notes, progress);

    MeasureReport report;
    std::vector<Case> cases;
    for (std::size_t i = 0; i < finding_kinds().size(); ++i) {
        if (!measured.effects[i]) continue;
        Case one{.kind = finding_kinds()[i],
                 .effect = &*measured.effects[i],
                 .twins = {},
                 .n_groups = measured.n_groups};
        for (const MeasuredTwin& twin : twins) {
            if (one.twins.empty() || one.twins.back().kind != twin.kind) one.twins.push_back({twin.kind, {}});
            if (twin.values[i]) one.twins.back().values.push_back(*twin.values[i]);
        }
        cases.push_back(std::move(one));
    }
    report.findings = judge(cases);
    for (std::size_t i = 0, at = 0; i < finding_kinds().size(); ++i) {
        if (measured.effects[i])
            take_charts(measured.effects[i]->charts, report.findings[at++], measured.layers, report);
    }
    share_charts(report);
    report.outliers = std::move(measured.outliers);
    report.first_tokens = std::move(measured.first_tokens);
    report.outlier_scores = std::move(measured.outlier_scores);
    report.outlier_test = std::move(measured.outlier_test);
    report.outlier_threshold = measured.outlier_threshold;
    report.false_alarm_rate = options.false_alarm_rate;
    report.tables = std::move(measured.tables);
    report.notes = std::move(measured.notes);
    report.how = std::move(measured.how);
    const auto path = [](const Run* other) { return other ? Json(other->path().string()) : Json(nullptr); };
    report.how["level"] = kLevel;
    report.how["correction"] = "Holm";
    report.how["twins"] = Json::array();
    for (const MeasuredTwin& twin : twins)
        report.how["twins"].push_back(
            {{"run", twin.path}, {"kind", twin.kind}, {"sequences", twin.n_sequences}, {"rows", twin.rows}});
    report.how["rope_off"] = path(options.rope_off);
    if (options.context != nullptr) report.how["context"] = path(options.context);
    if (!options.rope_doses.empty()) {
        report.how["rope_doses"] = Json::array();
        for (const Run* dose : options.rope_doses) report.how["rope_doses"].push_back(path(dose));
    }
    if (options.reference != nullptr) report.how["reference"] = path(options.reference);
    if (const std::string acts = acts_of(run); !acts.empty())
        report.notes.push_back("the model was changed while it read: " + acts);
    if (!run.complete()) report.notes.push_back("the run is incomplete: what it holds was measured");
    return report;
}

}  // namespace tomograph
