#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/findings/finding.h"
#include "tomograph/statistics/distributions.h"
#include "tomograph/statistics/inference.h"

namespace tomograph {
namespace {

bool clears(const Finding& finding, double control) {
    return finding.smaller_counts ? std::max(finding.interval->hi, finding.effect) < control
                                  : std::min(finding.interval->lo, finding.effect) > control;
}

/// Which controls the interval clears and which it does not.
std::string not_cleared(const Finding& finding) {
    std::string cleared, failed;
    for (const Control& control : finding.controls) {
        if (std::isnan(control.value)) continue;
        std::string& list = clears(finding, control.value) ? cleared : failed;
        list += fmt::format("{}{} ({:.4g})", list.empty() ? "" : ", ", control.name, control.value);
    }
    return fmt::format("does not clear {}{}", failed, cleared.empty() ? "" : ", though it clears " + cleared);
}

/// NaN where no control has a number.
double strictest(const std::vector<Control>& controls, bool smaller_counts) {
    double null = kNoNumber;
    for (const Control& control : controls) {
        if (std::isnan(control.value)) continue;
        if (std::isnan(null) || (smaller_counts ? control.value < null : control.value > null))
            null = control.value;
    }
    return null;
}

/// The chance that the interval says of an effect at or beyond the null; an interval of no width is exact.
double chance_by_interval(const Finding& finding, int n_groups) {
    if (std::isnan(finding.null)) return kNoNumber;
    const Interval& interval = *finding.interval;
    const double sign = finding.smaller_counts ? -1 : 1;
    const double beyond = sign * (0.5 * (interval.lo + interval.hi) - finding.null),
                 reach = 0.5 * (interval.hi - interval.lo);
    if (!(reach > 0)) return beyond > 0 ? 0 : 1;
    const double freedom = std::max(1, n_groups - 1);
    return student_t(-beyond / reach * student_t_quantile(1 - kLevel, freedom), freedom);
}

Finding without_verdict(const Case& measured) {
    const FindingKind& kind = *measured.kind;
    const Effect& effect = *measured.effect;
    Finding finding;
    finding.name = kind.name;
    finding.effect_is = kind.effect_is;
    finding.smaller_counts = kind.smaller_counts;
    finding.detail = effect.detail;
    finding.controls = effect.controls;
    finding.reason = effect.unmeasurable;
    for (const TwinEffects& twins : measured.twins) {
        TwinEffects numbers{.kind = twins.kind, .values = {}};
        for (const double value : twins.values)
            if (!std::isnan(value)) numbers.values.push_back(value);
        if (!numbers.values.empty()) finding.twins.push_back(std::move(numbers));
    }
    if (!effect.unmeasurable.empty()) return finding;
    finding.effect = effect.value;
    finding.interval = effect.interval;
    finding.null = strictest(finding.controls, kind.smaller_counts);
    finding.no_effect = std::isnan(kind.margin.no_effect) ? finding.null : kind.margin.no_effect;
    finding.margin = kind.margin.width * (kind.margin.share ? std::abs(finding.no_effect) : 1);
    if (kind.margin.ratio) {
        const double low = finding.no_effect / kind.margin.width,
                     high = finding.no_effect * kind.margin.width;
        finding.no_effect = 0.5 * (low + high);
        finding.margin = 0.5 * (high - low);
    }
    if (finding.interval) finding.p = chance_by_interval(finding, measured.n_groups);
    if (effect.p) finding.p = std::isnan(finding.p) ? *effect.p : std::max(finding.p, *effect.p);
    return finding;
}

std::string twins_text(const Finding& finding) {
    std::string text;
    for (const TwinEffects& twins : finding.twins) {
        const auto [lo, hi] = std::minmax_element(twins.values.begin(), twins.values.end());
        text += fmt::format("{}{} {} {:.4g}", text.empty() ? "" : ", ", twins.values.size(), twins.kind, *lo);
        if (*lo != *hi) text += fmt::format(" to {:.4g}", *hi);
    }
    return text;
}

void decide(const Case& measured, Finding& finding) {
    const Effect& effect = *measured.effect;
    Evidence evidence{.effect = finding.effect,
                      .interval = finding.interval,
                      .null = finding.null,
                      .p = finding.p_corrected,
                      .twins = {},
                      .no_effect = finding.no_effect,
                      .margin = finding.margin,
                      .larger = !finding.smaller_counts};
    if (!effect.instead.empty() || std::isnan(finding.p_corrected)) evidence.p = 1;
    if (measured.kind->twin_counts)
        for (const TwinEffects& twins : finding.twins) evidence.twins.push_back(twins.values);
    switch (judge_claim(evidence, kLevel)) {
        case Claim::holds:
            finding.verdict = Verdict::holds;
            return;
        case Claim::as_untrained:
            finding.verdict = Verdict::as_untrained;
            finding.reason = "untrained twins show as much: " + twins_text(finding);
            return;
        case Claim::absent:
            finding.verdict = Verdict::absent;
            finding.reason =
                measured.kind->margin.ratio
                    ? fmt::format("within {:.4g} to {:.4g}, which is no effect",
                                  finding.no_effect - finding.margin, finding.no_effect + finding.margin)
                    : fmt::format("within {:.4g} of {:.4g}, which is no effect", finding.margin,
                                  finding.no_effect);
            break;
        case Claim::undecided:
            finding.verdict = Verdict::undecided;
            if (!finding.interval && !effect.p)
                finding.reason =
                    fmt::format("too few sequences for an interval: {} are needed", kFewestGroups);
            else if (finding.interval && std::isnan(finding.null))
                finding.reason = "there is nothing to compare it with";
            else if (finding.interval && !clears(finding, finding.null))
                finding.reason = not_cleared(finding);
            else if (effect.instead.empty())
                finding.reason =
                    fmt::format("p = {:.2g} by itself, {:.2g} corrected for the number of findings",
                                finding.p, finding.p_corrected);
            break;
    }
    if (!effect.instead.empty()) finding.reason = effect.instead;
}

}  // namespace

const char* verdict_name(Verdict verdict) {
    switch (verdict) {
        case Verdict::holds:
            return claim_name(Claim::holds);
        case Verdict::as_untrained:
            return claim_name(Claim::as_untrained);
        case Verdict::absent:
            return claim_name(Claim::absent);
        case Verdict::undecided:
            return claim_name(Claim::undecided);
        case Verdict::not_measurable:
            break;
    }
    return "not measurable";
}

Json number(double value) {
    if (!std::isfinite(value)) return nullptr;
    return std::stod(fmt::format("{:.6g}", value));
}

Json number(const std::optional<Interval>& interval) {
    return interval ? Json{number(interval->lo), number(interval->hi)} : Json(nullptr);
}

Json numbers(const std::vector<double>& values) {
    Json list = Json::array();
    for (const double value : values) list.push_back(number(value));
    return list;
}

std::vector<Finding> judge(const std::vector<Case>& all) {
    std::vector<Finding> findings;
    std::vector<double> p;
    for (const Case& measured : all) {
        findings.push_back(without_verdict(measured));
        p.push_back(findings.back().p);
    }
    const auto corrected = holm_adjusted(p);
    for (std::size_t i = 0; i < all.size(); ++i) {
        findings[i].p_corrected = corrected[i];
        if (all[i].effect->unmeasurable.empty()) decide(all[i], findings[i]);
    }
    return findings;
}

}  // namespace tomograph
