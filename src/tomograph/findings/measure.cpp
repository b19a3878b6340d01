#include "tomograph/findings/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/parts.h"

namespace tomograph {
namespace {

struct Claim {
    const char* name;
    const char* effect_is;
    bool smaller_counts;
    bool twin_counts;  ///< the random-weight twin is a control of it
};

/// In the order of the report.
constexpr Claim kClaims[] = {
    {"attn_mlp_separation", "cosine silhouette of attention against MLP outputs, middle layers", false, true},
    {"attn_mlp_angles", "mean principal angle between their subspaces, degrees", false, true},
    {"separation_onset", "first layer from which the two clouds stay apart", true, false},
    {"first_token_norm", "norm at position 0 over the median elsewhere, strongest middle layer", false, true},
    {"massive_coordinates", "share of the squared norm in the top 1 % of coordinates, middle layers", false,
     true},
    {"anisotropy", "mean cosine of random pairs, middle layers", false, true},
    {"intrinsic_dimension", "TwoNN dimension of the stream, middle layers", true, false},
    {"position_share", "share of variance explained by position, middle layers", false, true},
    {"position_helix", "R² of the helix fit to the curve of positions", false, true},
    {"position_lattice", "second Bragg peak of the curve of positions", false, true},
    {"layer_paths", "mean resultant length of the tokens' steps between layers", false, true},
    {"layer_cka", "CKA of neighbouring layers, less that of all pairs", false, true},
};

/// Which controls the interval clears and which it does not.
std::string why_absent(const Finding& finding, bool smaller_counts) {
    std::string cleared, failed;
    for (const Control& control : finding.controls) {
        if (std::isnan(control.value)) continue;
        const bool clears =
            smaller_counts ? finding.interval->hi < control.value : finding.interval->lo > control.value;
        std::string& list = clears ? cleared : failed;
        list += fmt::format("{}{} ({:.4g})", list.empty() ? "" : ", ", control.name, control.value);
    }
    return fmt::format("does not clear {}{}", failed, cleared.empty() ? "" : ", though it clears " + cleared);
}

Finding judge(const Claim& claim, const Effect& effect, const Effect* twin) {
    Finding finding;
    finding.name = claim.name;
    finding.effect_is = claim.effect_is;
    finding.smaller_counts = claim.smaller_counts;
    finding.detail = effect.detail;
    finding.controls = effect.controls;
    if (twin != nullptr && !std::isnan(twin->value)) {
        if (claim.twin_counts) finding.controls.push_back({"random-weight twin", twin->value});
        finding.detail["twin"] = number(twin->value);
    }
    if (!effect.unmeasurable.empty()) {
        finding.reason = effect.unmeasurable;
        return finding;
    }
    finding.effect = effect.value;
    finding.interval = effect.interval;
    const Control* strictest = nullptr;
    for (const Control& control : finding.controls) {
        if (std::isnan(control.value)) continue;
        const bool stricter =
            strictest == nullptr ||
            (claim.smaller_counts ? control.value < strictest->value : control.value > strictest->value);
        if (stricter) strictest = &control;
    }
    if (strictest != nullptr) finding.null = strictest->value;
    if (!effect.absent.empty()) {
        finding.verdict = Verdict::absent;
        finding.reason = effect.absent;
    } else if (!finding.interval) {
        finding.reason = fmt::format("too few sequences for an interval: {} are needed", kFewestGroups);
    } else if (strictest == nullptr) {
        finding.reason = "there is nothing to compare it with";
    } else if (claim.smaller_counts ? finding.interval->hi < finding.null
                                    : finding.interval->lo > finding.null) {
        finding.verdict = Verdict::holds;
    } else {
        finding.verdict = Verdict::absent;
        finding.reason = why_absent(finding, claim.smaller_counts);
    }
    return finding;
}

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

struct Parts {
    SitesResult sites;
    PositionsResult positions;
    PartResult paths;

    const Effect* effect(const std::string& name) const {
        for (const PartResult* part :
             {static_cast<const PartResult*>(&sites), static_cast<const PartResult*>(&positions), &paths}) {
            if (const auto found = part->effects.find(name); found != part->effects.end())
                return &found->second;
        }
        return nullptr;
    }
};

Parts measure_parts(const Subject& subject, Progress& progress) {
    Parts parts{measure_sites(subject, progress), measure_positions(subject, progress),
                measure_paths(subject, progress)};
    if (!subject.effects_only) measure_heads(subject, parts.sites);
    return parts;
}

/// How much of what positions share goes away without rotation, paired by bootstrap over the same sequences.
Finding judge_rope(const PositionsResult& on, const PositionsResult& off, const Effect& share_off,
                   const Effect* helix_off, const Effect* lattice_off) {
    Finding finding;
    finding.name = "rope_share";
    finding.effect_is = "share of the positions' structure that is gone with rotation off";
    finding.null = 0;
    finding.controls.push_back({"rotation left on", 0});
    finding.detail = {{"shared_on", number(on.shared)},
                      {"shared_off", number(off.shared)},
                      {"position_share_off", number(share_off.value)}};
    if (helix_off != nullptr)
        finding.detail["helix_off"] = {{"r2", number(helix_off->value)}, {"detail", helix_off->detail}};
    if (lattice_off != nullptr) finding.detail["lattice_off"] = number(lattice_off->value);
    if (std::isnan(on.shared) || std::isnan(off.shared)) {
        finding.reason = share_off.unmeasurable.empty()
                             ? "the share that position explains cannot be measured"
                             : share_off.unmeasurable;
        return finding;
    }
    if (!(on.shared > 0)) {
        finding.reason = "positions share nothing with rotation on";
        return finding;
    }
    finding.effect = 1 - off.shared / on.shared;
    std::vector<double> replicates;
    for (std::size_t r = 0; r < std::min(on.shared_replicates.size(), off.shared_replicates.size()); ++r) {
        if (on.shared_replicates[r] > 0)
            replicates.push_back(1 - off.shared_replicates[r] / on.shared_replicates[r]);
    }
    if (replicates.size() < 10) {
        finding.reason = "too few sequences for an interval";
        return finding;
    }
    finding.interval = Interval{quantile(replicates, 0.025), quantile(replicates, 0.975)};
    finding.verdict = finding.interval->lo > 0 ? Verdict::holds : Verdict::absent;
    if (finding.verdict == Verdict::absent)
        finding.reason = "positions share as much, or more, without rotation";
    return finding;
}

}  // namespace

Subject::Subject(const Run& a_run, const MeasureOptions& an_options, bool only_effects)
    : run(a_run),
      options(an_options),
      sample(draw_sample(a_run, an_options.rows, an_options.seed)),
      layers(headline_layers(a_run.n_layers())),
      threads(thread_count(an_options.threads)),
      effects_only(only_effects) {
    for (const Component component : {Component::resid_post, Component::resid_mid, Component::resid_pre}) {
        if (!stream && !layers_with(component).empty()) stream = component;
    }
}

std::vector<int> Subject::layers_with(Component component) const {
    std::vector<int> found;
    for (const int layer : layers) {
        if (run.has_vectors({component, layer})) found.push_back(layer);
    }
    return found;
}

std::string Subject::lacks_rows() const {
    if (run.n_rows() > 0) return "";
    return run.complete() ? "the run keeps no vectors; capture without --no-vectors"
                          : "the run is incomplete and holds no vectors";
}

std::string Subject::lacks(Component component) const {
    if (const std::string why = lacks_rows(); !why.empty()) return why;
    for (const SiteShape& shape : run.sites()) {
        if (shape.site.component == component && run.has_vectors(shape.site)) return "";
    }
    return fmt::format("the run has no vectors of {}; capture with --components {}",
                       component_name(component), component_name(component));
}

std::string Subject::lacks_stream() const {
    if (const std::string why = lacks_rows(); !why.empty()) return why;
    return stream
               ? ""
               : "no middle layer has vectors of the residual stream; capture with --components resid_post";
}

const char* verdict_name(Verdict verdict) {
    switch (verdict) {
        case Verdict::holds:
            return "holds";
        case Verdict::absent:
            return "absent";
        default:
            return "not measurable";
    }
}

const std::vector<std::string>& finding_names() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> list;
        for (const Claim& claim : kClaims) list.emplace_back(claim.name);
        return list;
    }();
    return names;
}

Json number(double value) {
    if (!std::isfinite(value)) return nullptr;
    return std::stod(fmt::format("{:.6g}", value));
}

Json numbers(const std::vector<double>& values) {
    Json list = Json::array();
    for (const double value : values) list.push_back(number(value));
    return list;
}

double mean_of(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return values.empty() ? kNoNumber : sum / static_cast<double>(values.size());
}

MeasureReport measure_run(const Run& run, const MeasureOptions& options, Progress& progress) {
    if (options.twin != nullptr) require_same_kind(run, *options.twin, "twin");
    if (options.rope_off != nullptr) {
        require_same_kind(run, *options.rope_off, "run without rotation");
        if (!options.rope_off->json().at("capture").value("rope_off", false)) {
            throw Error(options.rope_off->path().string() + " was captured with rotation on", "",
                        "capture it with --rope-off");
        }
    }
    if (options.rows < 16)
        throw Error("too few rows to measure", std::to_string(options.rows), "use at least 16");
    const Subject subject(run, options, false);
    Parts parts = measure_parts(subject, progress);
    std::optional<Parts> twin;
    if (options.twin != nullptr) twin = measure_parts(Subject(*options.twin, options, true), progress);

    MeasureReport report;
    for (const Claim& claim : kClaims) {
        const Effect* of_twin = twin ? twin->effect(claim.name) : nullptr;
        report.findings.push_back(judge(claim, *parts.effect(claim.name), of_twin));
    }
    if (options.rope_off != nullptr) {
        const PositionsResult off = measure_positions(Subject(*options.rope_off, options, true), progress);
        const auto find = [&](const char* name) { return &off.effects.at(name); };
        report.findings.push_back(judge_rope(parts.positions, off, *find("position_share"),
                                             find("position_helix"), find("position_lattice")));
    }
    report.outliers = std::move(parts.sites.outliers);
    report.first_tokens = std::move(parts.sites.first_tokens);
    report.outlier_threshold = parts.sites.outlier_threshold;
    report.false_alarm_rate = options.false_alarm_rate;
    for (PartResult* part :
         {static_cast<PartResult*>(&parts.sites), static_cast<PartResult*>(&parts.positions), &parts.paths}) {
        report.tables.merge(part->tables);
        report.notes.insert(report.notes.end(), part->notes.begin(), part->notes.end());
    }
    report.how = {
        {"rows", subject.sample.size()},
        {"rows_to_draw_from", subject.sample.n_candidates},
        {"groups", subject.sample.n_groups},
        {"seed", options.seed},
        {"bootstrap", options.bootstrap},
        {"middle_layers", subject.layers},
        {"twin", options.twin != nullptr ? Json(options.twin->path().string()) : Json(nullptr)},
        {"rope_off", options.rope_off != nullptr ? Json(options.rope_off->path().string()) : Json(nullptr)}};
    if (!run.complete()) report.notes.push_back("the run is incomplete: what it holds was measured");
    return report;
}

}  // namespace tomograph
