// The short form of bench/calibrate: how often verdicts fall where nothing is, and that they do where
// something is.
#include <gtest/gtest.h>

#include <map>

#include "support/planted_runs.h"

namespace tomograph {
namespace {

const MeasureOptions kQuick{.rows = 300, .bootstrap = 40, .threads = 2};

TEST(Calibration, ReportsOfNothingSeldomHoldAnything) {
    constexpr int kDraws = 10;
    int reports = 0, reports_that_hold = 0, measured = 0;
    std::string what;
    for (const planted::RunFamily& family : planted::runs_without_findings()) {
        for (std::uint64_t seed = 1; seed <= kDraws; ++seed) {
            bool holds = false;
            for (const Finding& finding : planted::measured(family, 8, seed, kQuick).findings) {
                if (!family.counts(finding.name) || finding.verdict == Verdict::not_measurable) continue;
                ++measured;
                if (finding.verdict != Verdict::holds) continue;
                holds = true;
                what += family.name + ": " + finding.name + "\n";
            }
            ++reports;
            reports_that_hold += holds;
        }
    }
    // 2.5 % of 50 reports: more than 5 would come about about once in 1,000 times.
    EXPECT_LE(reports_that_hold, 5) << what;
    EXPECT_GE(measured, reports * 8) << "and they were judged";
}

TEST(Calibration, WhatIsPlantedIsFoundByItsOwnFinding) {
    std::map<std::string, std::string> missed;
    int tried = 0;
    for (const planted::PlantedEffect& effect : planted::planted_effects()) {
        const MeasureReport report = planted::measured(effect.with(1), 8, 3, kQuick);
        for (const Finding& finding : report.findings) {
            if (finding.name != effect.finding) continue;
            ++tried;
            if (finding.verdict != Verdict::holds)
                missed[finding.name] = std::string(verdict_name(finding.verdict)) + ": " + finding.reason;
        }
    }
    for (const auto& [name, why] : missed) ADD_FAILURE() << name << " " << why;
    EXPECT_GE(tried, 10);
}

}  // namespace
}  // namespace tomograph
