// Planted truths against verdicts, as a table: how often each verdict falls where nothing is, how often where
// something is, and how often an interval holds the truth.
//
//     calibrate [PART...] [--draws N] [--size NxD]... [--only FAMILY]      PART: helix
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

int run(int argc, char** argv) {
    const std::map<std::string, std::function<void(const Plan&)>> parts{{"helix", calibrate_helix}};
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
