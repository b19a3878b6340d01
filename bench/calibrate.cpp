// Planted truths against verdicts, as a table: how often each verdict falls where nothing is, how often where
// something is, and how often an interval holds the truth.
//
//     calibrate [PART...] [--draws N] [--size NxD]... [--only FAMILY]      PART: helix, intervals, verdicts
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
                std::vector<Coil> coils;
                for (int i = 0; i < plan.draws; ++i) {
                    Rng rng(mix(truth, 77, static_cast<std::uint64_t>(i)));
                    coils.push_back(measure_coil(family.draw(n, d, rng).cast<float>(),
                                                 {.seed = static_cast<std::uint64_t>(i), .threads = 1}));
                }
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
                           return jackknife(n, [&](auto w) { return table.split(w).position; });
                       }});
    for (const Eigen::Index shared : {0, 2, 6})
        all.push_back({fmt::format("near-orthogonality A, {} of 6 shared", shared), true_overlap(shared),
                       [shared](int n, Rng& rng) {
                           const SharedSpread spread = two_clouds(n, shared, rng);
                           return jackknife(n, [&](auto w) { return spread.overlap(w); });
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
            const Jackknife result = jackknife(n, [&](auto w) { return table.split(w).position; });
            return Evidence{.effect = result.corrected, .interval = result.interval, .margin = 0.02};
        });
    for (const Eigen::Index shared : {0, 1, 2, 3, 6})
        row(fmt::format("A below {}, truth {:.2f}", kOrthogonalLow, true_overlap(shared)),
            [shared](int n, Rng& rng) {
                const SharedSpread spread = two_clouds(n, shared, rng);
                const Jackknife result =
                    jackknife(n, [&](auto w) { return std::log(std::max(1e-3, spread.overlap(w))); });
                return Evidence{.effect = result.corrected,
                                .interval = result.interval,
                                .null = std::log(kOrthogonalLow),
                                .margin = std::log(kOrthogonalHigh),
                                .larger = false};
            });
}

int run(int argc, char** argv) {
    const std::map<std::string, std::function<void(const Plan&)>> parts{
        {"helix", calibrate_helix}, {"intervals", calibrate_intervals}, {"verdicts", calibrate_verdicts}};
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
