// Planted truths against verdicts, as a table: how often each verdict falls where nothing is, how often where
// something is, and how often an interval holds the truth.
//
//     calibrate [PART...] [--draws N] [--size NxD]... [--only FAMILY]
//     PART: helix, intervals, verdicts: single statistics; alarms, power, coverage: whole runs, every
//     finding; further: runs without what findings say that need a lens or other runs beside
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "support/planted.h"
#include "support/planted_runs.h"
#include "tomograph/base/threads.h"
#include "tomograph/statistics/coil.h"
#include "tomograph/statistics/components.h"
#include "tomograph/statistics/inference.h"
#include "tomograph/statistics/positions.h"

namespace tomograph {
namespace {

struct Plan {
    int draws = 200;
    std::vector<std::array<Eigen::Index, 2>> sizes;
    std::string only;  // families whose names hold this
};

// As many as position_helix draws.
constexpr int kSurrogates = 999;

double share_of(const std::vector<Coil>& coils, const std::function<bool(const Coil&)>& what) {
    return static_cast<double>(std::count_if(coils.begin(), coils.end(), what)) /
           static_cast<double>(coils.size());
}

void calibrate_helix(const Plan& plan) {
    auto sizes = plan.sizes;
    if (sizes.empty()) sizes = {{128, 16}, {256, 3}, {512, 64}};
    for (const auto& [n, d] : sizes) {
        fmt::print(
            "\nHelix, curves of {} points in {} dimensions, {} draws each\n\n"
            "| planted | called helix | circle | several | wave | p_turning <= 0.025 | median p | turns |\n"
            "|---|---|---|---|---|---|---|---|\n",
            n, d, plan.draws);
        for (const bool truth : {false, true}) {
            for (const auto& family : truth ? planted::helices() : planted::curves_without_a_helix()) {
                if (family.name.find(plan.only) == std::string::npos) continue;
                std::vector<Coil> coils(static_cast<std::size_t>(plan.draws));
                parallel_for(plan.draws, thread_count(0), [&](std::int64_t i) {
                    Rng rng(mix(truth, 77, static_cast<std::uint64_t>(i)));
                    coils[static_cast<std::size_t>(i)] = measure_coil(
                        family.draw(n, d, rng).cast<float>(),
                        {.replicates = kSurrogates, .seed = static_cast<std::uint64_t>(i), .threads = 1});
                });
                const auto called = [&](const char* shape) {
                    return 100 * share_of(coils, [&](const Coil& c) { return c.shape == shape; });
                };
                std::vector<double> p, turns;
                for (const Coil& coil : coils) {
                    p.push_back(coil.p);
                    turns.push_back(coil.turns);
                }
                std::sort(p.begin(), p.end());
                std::sort(turns.begin(), turns.end());
                fmt::print(
                    "| {} | {:.1f} % | {:.1f} % | {:.1f} % | {:.1f} % | {:.1f} % | {:.3f} | {:.1f} |\n",
                    family.name, called("helix"), called("circle"), called("several"), called("wave"),
                    100 * share_of(coils, [](const Coil& c) { return c.p_turning <= 0.025; }),
                    p[p.size() / 2], turns[turns.size() / 2]);
                std::fflush(stdout);
            }
        }
    }
}

/// Sequences with a common curve by position of this variance, in noise of variance 1 and with places of
/// their own.
PositionTable sequences(int n, double position, Rng& rng) {
    constexpr Eigen::Index kPositions = 24, kDims = 16;
    const auto vectors = [&](Eigen::Index rows, double variance) {
        return MatrixD(planted::gaussian(rows, kDims, rng) * std::sqrt(variance / kDims));
    };
    // The curve is the model's, not the sample's: of exactly this variance.
    MatrixD curve = vectors(kPositions, 1);
    curve.rowwise() -= curve.colwise().mean().eval();
    curve *= std::sqrt(position * kPositions / curve.squaredNorm());
    PositionTable table(n, kPositions, kDims);
    for (int s = 0; s < n; ++s)
        table.add(s, ((curve + vectors(kPositions, 1)).rowwise() + vectors(1, 0.5).row(0)).cast<float>());
    table.finish();
    return table;
}

/// Two clouds of sequences that share `shared` of six dimensions each, in 24 dimensions.
SharedSpread two_clouds(int n_sequences, Eigen::Index shared, Rng& rng) {
    constexpr Eigen::Index kDims = 24, kUsed = 6, kTokens = 40;
    const MatrixD basis = planted::rotation(kDims, rng);
    std::vector<std::int32_t> group;
    for (int s = 0; s < n_sequences; ++s) group.insert(group.end(), kTokens, s);
    const auto n = static_cast<Eigen::Index>(group.size());
    const auto cloud = [&](Eigen::Index first) {
        MatrixD rows = planted::gaussian(n, kUsed, rng);
        // Tokens of one sequence resemble each other.
        const MatrixD own = planted::gaussian(n_sequences, kUsed, rng) * 0.5;
        for (Eigen::Index i = 0; i < n; ++i) rows.row(i) += own.row(group[static_cast<std::size_t>(i)]);
        return Matrix((rows * basis.middleRows(first, kUsed)).cast<float>());
    };
    const Matrix a = cloud(0), b = cloud(kUsed - shared);
    return {a, group, b, group, n_sequences};
}

/// d / PR for the share of dimensions that both have.
double true_overlap(Eigen::Index shared) {
    return 24.0 / 6 * static_cast<double>(shared) / 6;
}

/// As the findings do it: pairs of sequences left out, too.
Jackknife of_pairs(int n, const std::function<double(std::span<const double>)>& statistic) {
    std::vector<double> weights(static_cast<std::size_t>(n), 1.0), one_out, pairs_out;
    const double all = statistic(weights);
    for (double& weight : weights) {
        weight = 0;
        one_out.push_back(statistic(weights));
        weight = 1;
    }
    leave_out_pairs(n, [&](auto without) { pairs_out.push_back(statistic(without)); });
    return jackknife(all, one_out, pairs_out);
}

struct Sampled {
    std::string name;
    double truth = 0;
    std::function<Jackknife(int n, Rng& rng)> draw;
};

std::vector<Sampled> sampled_statistics() {
    std::vector<Sampled> all;
    all.push_back({"mean of skewed values", std::exp(0.5 * 0.36), [](int n, Rng& rng) {
                       std::vector<double> values;
                       for (int i = 0; i < n; ++i) values.push_back(std::exp(0.6 * rng.normal()));
                       return jackknife(n, [&](std::span<const double> w) {
                           double sum = 0, count = 0;
                           for (std::size_t i = 0; i < w.size(); ++i) {
                               sum += w[i] * values[i];
                               count += w[i];
                           }
                           return sum / count;
                       });
                   }});
    for (const double position : {0.0, 0.2, 1.0})
        all.push_back({fmt::format("position share, variance {}", position), position / (1.5 + position),
                       [position](int n, Rng& rng) {
                           const PositionTable table = sequences(n, position, rng);
                           return of_pairs(n, [&](auto w) { return table.split(w).position; });
                       }});
    for (const Eigen::Index shared : {0, 2, 6})
        all.push_back({fmt::format("near-orthogonality A, {} of 6 shared", shared), true_overlap(shared),
                       [shared](int n, Rng& rng) {
                           const SharedSpread spread = two_clouds(n, shared, rng);
                           return of_pairs(n, [&](auto w) { return spread.overlap(w); });
                       }});
    return all;
}

void calibrate_intervals(const Plan& plan) {
    fmt::print(
        "\nIntervals (jackknife over sequences, t), {} draws each: how often they hold the truth\n\n"
        "| statistic | truth | 5 sequences | 8 | 32 | mean, 5 | 32 |\n|---|---|---|---|---|---|---|\n",
        plan.draws);
    for (const Sampled& statistic : sampled_statistics()) {
        std::string cells, means;
        for (const int n : {5, 8, 32}) {
            int held = 0;
            double sum = 0;
            for (int i = 0; i < plan.draws; ++i) {
                Rng rng(mix(31, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(i)));
                const Jackknife result = statistic.draw(n, rng);
                held += result.interval && result.interval->lo <= statistic.truth + 1e-9 &&
                        result.interval->hi >= statistic.truth - 1e-9;
                sum += result.corrected;
            }
            cells += fmt::format(" {:.1f} % |", 100.0 * held / plan.draws);
            if (n != 8) means += fmt::format(" {:.3f} |", sum / plan.draws);
        }
        fmt::print("| {} | {:.3f} |{}{}\n", statistic.name, statistic.truth, cells, means);
    }
}

void calibrate_verdicts(const Plan& plan) {
    fmt::print(
        "\nVerdicts, {} draws each, by number of sequences\n\n"
        "| planted | sequences | holds | absent | undecided |\n|---|---|---|---|---|\n",
        plan.draws);
    const auto row = [&](const std::string& name, const std::function<Evidence(int, Rng&)>& draw) {
        for (const int n : {5, 8, 32}) {
            int counts[4] = {0, 0, 0, 0};
            for (int i = 0; i < plan.draws; ++i) {
                Rng rng(mix(32, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(i)));
                ++counts[static_cast<int>(judge_claim(draw(n, rng)))];
            }
            const auto percent = [&](Claim claim) {
                return 100.0 * counts[static_cast<int>(claim)] / plan.draws;
            };
            fmt::print("| {} | {} | {:.1f} % | {:.1f} % | {:.1f} % |\n", name, n, percent(Claim::holds),
                       percent(Claim::absent), percent(Claim::undecided));
        }
    };
    for (const double position : {0.0, 0.01, 0.05, 0.2})
        row(fmt::format("position share, variance {}", position), [position](int n, Rng& rng) {
            const PositionTable table = sequences(n, position, rng);
            const Jackknife result = of_pairs(n, [&](auto w) { return table.split(w).position; });
            return Evidence{.effect = result.corrected, .interval = result.interval, .margin = 0.02};
        });
    for (const Eigen::Index shared : {0, 1, 2, 3, 6})
        row(fmt::format("A below {}, truth {:.2f}", kOrthogonalLow, true_overlap(shared)),
            [shared](int n, Rng& rng) {
                const SharedSpread spread = two_clouds(n, shared, rng);
                const Jackknife result =
                    of_pairs(n, [&](auto w) { return std::log(std::max(1e-3, spread.overlap(w))); });
                return Evidence{.effect = result.corrected,
                                .interval = result.interval,
                                .null = std::log(kOrthogonalLow),
                                .margin = std::log(kOrthogonalHigh),
                                .larger = false};
            });
}

const MeasureOptions kOfRuns{.rows = 300, .bootstrap = 40, .threads = 1};

/// Reports of so many runs of a family, several at once; `only`: of one finding.
std::vector<MeasureReport> reports_of(const planted::RunFamily& family, int sequences, int draws,
                                      std::uint64_t first_seed, const std::string& only = "") {
    MeasureOptions options = kOfRuns;
    if (!only.empty()) options.only = {only};
    std::vector<MeasureReport> reports(static_cast<std::size_t>(draws));
    parallel_for(draws, thread_count(0), [&](std::int64_t i) {
        reports[static_cast<std::size_t>(i)] =
            planted::measured(family, sequences, first_seed + static_cast<std::uint64_t>(i), options);
    });
    return reports;
}

const Finding* finding_of(const MeasureReport& report, const std::string& name) {
    for (const Finding& finding : report.findings)
        if (finding.name == name) return &finding;
    return nullptr;
}

std::string percent_of(int part, int all) {
    return all == 0 ? " – |" : fmt::format(" {:.0f} |", 100.0 * part / all);
}

/// By finding and family without one: how often the verdict is "holds", and how often any of a report's is.
void calibrate_alarms(const Plan& plan) {
    const auto families = planted::runs_without_findings();
    std::string heads, rule, any = "| any of a report |";
    std::map<std::string, std::string> lines;
    for (const planted::RunFamily& family : families) {
        heads += " " + family.name + " |";
        rule += "---|";
        const auto reports = reports_of(family, 8, plan.draws, 1000);
        int with_any = 0;
        for (const MeasureReport& report : reports) {
            with_any += std::ranges::any_of(report.findings, [&](const Finding& finding) {
                return family.counts(finding.name) && finding.verdict == Verdict::holds;
            });
        }
        any += percent_of(with_any, plan.draws);
        for (const std::string& name : finding_names()) {
            int holds = 0, judged = 0;
            for (const MeasureReport& report : reports) {
                const Finding* finding = finding_of(report, name);
                if (finding == nullptr || finding->verdict == Verdict::not_measurable) continue;
                ++judged;
                holds += finding->verdict == Verdict::holds;
            }
            lines[name] += family.counts(name) ? percent_of(holds, judged) : " true |";
        }
    }
    fmt::print(
        "\nFalse alarms: percent of {} runs of 8 sequences each in which the verdict is *holds*\n\n"
        "| finding |{}\n|---|{}\n",
        plan.draws, heads, rule);
    for (const std::string& name : finding_names()) fmt::print("| `{}` |{}\n", name, lines[name]);
    fmt::print("{}\n", any);
    std::fflush(stdout);
}

/// The same of the findings that need a lens or further runs, each under families of its own.
void calibrate_further(const Plan& plan) {
    fmt::print(
        "\nFalse alarms of findings that need more than a run, each measured by itself, percent of {} "
        "runs\n\n"
        "| finding | family | sequences | holds | absent | undecided | not measurable |\n"
        "|---|---|---|---|---|---|---|\n",
        plan.draws);
    for (const auto& [name, family] : planted::further_runs_without_findings()) {
        if (name.find(plan.only) == std::string::npos) continue;
        std::map<Verdict, int> counts;
        const int sequences = planted::sequences_of(name);
        for (const MeasureReport& report : reports_of(family, sequences, plan.draws, 1000, name))
            ++counts[finding_of(report, name)->verdict];
        fmt::print("| `{}` | {} | {} |", name, family.name, sequences);
        for (const Verdict verdict :
             {Verdict::holds, Verdict::absent, Verdict::undecided, Verdict::not_measurable})
            fmt::print("{}", percent_of(counts[verdict], plan.draws));
        fmt::print("\n");
        std::fflush(stdout);
    }
}

/// By strength: how often a planted effect's verdict is "holds", and "absent".
void calibrate_power(const Plan& plan) {
    const std::vector<double> strengths{0, 0.1, 0.25, 0.5, 1};
    std::string heads, rule;
    for (const double strength : strengths) {
        heads += fmt::format(" {} |", strength);
        rule += "---|";
    }
    fmt::print(
        "\nPower: percent of {} runs of 8 sequences in which a planted effect of this strength *holds* (and "
        "is "
        "*absent*)\n\n| finding |{}\n|---|{}\n",
        plan.draws, heads, rule);
    for (const planted::PlantedEffect& effect : planted::planted_effects()) {
        if (effect.finding.find(plan.only) == std::string::npos) continue;
        std::string line;
        for (const double strength : strengths) {
            int holds = 0, absent = 0;
            for (const MeasureReport& report :
                 reports_of(effect.with(strength), planted::sequences_of(effect.finding), plan.draws, 2000)) {
                const Finding* finding = finding_of(report, effect.finding);
                holds += finding != nullptr && finding->verdict == Verdict::holds;
                absent += finding != nullptr && finding->verdict == Verdict::absent;
            }
            line += fmt::format(" {:.0f}{} |", 100.0 * holds / plan.draws,
                                absent > 0 ? fmt::format(" ({:.0f})", 100.0 * absent / plan.draws) : "");
        }
        fmt::print("| `{}` |{}\n", effect.finding, line);
        std::fflush(stdout);
    }
}

/// How often a finding's interval holds what many sequences give.
void calibrate_coverage(const Plan& plan) {
    constexpr int kMany = 128, kOfMany = 4;
    fmt::print(
        "\nCoverage: percent of {} runs whose interval holds the effect's mean in {} runs of {} sequences, "
        "strength 0.5\n\n| finding | effect | 5 sequences | 8 | 32 |\n|---|---|---|---|---|\n",
        plan.draws, kOfMany, kMany);
    for (const planted::PlantedEffect& effect : planted::planted_effects()) {
        if (effect.finding.find(plan.only) == std::string::npos) continue;
        const planted::RunFamily family = effect.with(0.5);
        double truth = 0;
        for (const MeasureReport& report : reports_of(family, kMany, kOfMany, 3000, effect.finding))
            truth += finding_of(report, effect.finding)->effect / kOfMany;
        std::string line;
        for (const int sequences : {5, 8, 32}) {
            int held = 0, given = 0;
            for (const MeasureReport& report :
                 reports_of(family, sequences, plan.draws, 4000, effect.finding)) {
                const Finding* finding = finding_of(report, effect.finding);
                if (!finding->interval) continue;
                ++given;
                held += finding->interval->lo <= truth && finding->interval->hi >= truth;
            }
            line += percent_of(held, given);
        }
        fmt::print("| `{}` | {:.3g} |{}\n", effect.finding, truth, line);
        std::fflush(stdout);
    }
}

int run(int argc, char** argv) {
    const std::map<std::string, std::function<void(const Plan&)>> parts{
        {"helix", calibrate_helix},    {"intervals", calibrate_intervals}, {"verdicts", calibrate_verdicts},
        {"alarms", calibrate_alarms},  {"power", calibrate_power},         {"coverage", calibrate_coverage},
        {"further", calibrate_further}};
    Plan plan;
    std::vector<std::string> chosen;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--draws" && i + 1 < argc) {
            plan.draws = std::max(1, std::atoi(argv[++i]));
        } else if (word == "--size" && i + 1 < argc) {
            const std::string size = argv[++i];
            plan.sizes.push_back(
                {std::atoi(size.c_str()), std::atoi(size.substr(size.find('x') + 1).c_str())});
        } else if (word == "--only" && i + 1 < argc) {
            plan.only = argv[++i];
        } else if (parts.contains(word)) {
            chosen.push_back(word);
        } else {
            fmt::print(stderr, "calibrate: no part \"{}\"\n", word);
            return 2;
        }
    }
    for (const auto& [name, part] : parts) {
        if (chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end()) part(plan);
    }
    return 0;
}

}  // namespace
}  // namespace tomograph

int main(int argc, char** argv) {
    return tomograph::run(argc, argv);
}
