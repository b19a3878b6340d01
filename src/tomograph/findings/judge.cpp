#include <fmt/format.h>

#include <cmath>

#include "tomograph/findings/finding.h"

namespace tomograph {
namespace {

bool clears(const Finding& finding, double control) {
    return finding.smaller_counts ? finding.interval->hi < control : finding.interval->lo > control;
}

/// Which controls the interval clears and which it does not.
std::string why_absent(const Finding& finding) {
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

}  // namespace

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

Json number(double value) {
    if (!std::isfinite(value)) return nullptr;
    return std::stod(fmt::format("{:.6g}", value));
}

Json numbers(const std::vector<double>& values) {
    Json list = Json::array();
    for (const double value : values) list.push_back(number(value));
    return list;
}

Finding judge(const FindingKind& kind, const Effect& effect, const Effect* twin) {
    Finding finding;
    finding.name = kind.name;
    finding.effect_is = kind.effect_is;
    finding.smaller_counts = kind.smaller_counts;
    finding.detail = effect.detail;
    finding.controls = effect.controls;
    if (twin != nullptr && !std::isnan(twin->value)) {
        if (kind.twin_counts) finding.controls.push_back({"random-weight twin", twin->value});
        finding.detail["twin"] = number(twin->value);
    }
    if (!effect.unmeasurable.empty()) {
        finding.reason = effect.unmeasurable;
        return finding;
    }
    finding.effect = effect.value;
    finding.interval = effect.interval;
    finding.null = strictest(finding.controls, kind.smaller_counts);
    if (!effect.absent.empty()) {
        finding.verdict = Verdict::absent;
        finding.reason = effect.absent;
    } else if (!finding.interval) {
        finding.reason = fmt::format("too few sequences for an interval: {} are needed", kFewestGroups);
    } else if (std::isnan(finding.null)) {
        finding.reason = "there is nothing to compare it with";
    } else if (clears(finding, finding.null)) {
        finding.verdict = Verdict::holds;
    } else {
        finding.verdict = Verdict::absent;
        finding.reason = why_absent(finding);
    }
    return finding;
}

}  // namespace tomograph
