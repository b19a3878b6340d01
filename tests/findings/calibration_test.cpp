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

TEST(Calibration, FindingsOfFurtherRunsAreSeldomThereByChance) {
    constexpr int kDraws = 4;
    int holds = 0, judged = 0;
    std::string what;
    for (const auto& [name, family] : planted::further_runs_without_findings()) {
        for (std::uint64_t seed = 1; seed <= kDraws; ++seed) {
            for (const Finding& finding :
                 planted::measured(family, planted::sequences_of(name), seed, kQuick).findings) {
                if (finding.name != name) continue;
                ++judged;
                if (finding.verdict != Verdict::holds) continue;
                ++holds;
                what += family.name + "\n";
            }
        }
    }
    // 2.5 % of 92: more than 7 would come about once in 300 times.
    EXPECT_LE(holds, 7) << what;
    EXPECT_EQ(judged, 23 * kDraws);
}

TEST(Calibration, WhatIsPlantedIsFoundByItsOwnFinding) {
    std::map<std::string, std::string> missed;
    int tried = 0;
    for (const planted::PlantedEffect& effect : planted::planted_effects()) {
        const MeasureReport report =
            planted::measured(effect.with(1), planted::sequences_of(effect.finding), 3, kQuick);
        for (const Finding& finding : report.findings) {
            if (finding.name != effect.finding) continue;
            ++tried;
            if (finding.verdict != Verdict::holds)
                missed[finding.name] = std::string(verdict_name(finding.verdict)) + ": " + finding.reason;
        }
    }
    for (const auto& [name, why] : missed) ADD_FAILURE() << name << " " << why;
    EXPECT_EQ(tried, 20);
}

}  // namespace
}  // namespace tomograph
