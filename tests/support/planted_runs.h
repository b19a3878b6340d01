#pragma once
// Whole runs of which the truth is known: families in which nothing is to be found, and effects of any
// strength for each finding. For the suite and bench/calibrate.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/base/random.h"
#include "tomograph/findings/measure.h"

namespace tomograph::planted {

inline constexpr std::int64_t kRunDim = 16;
inline constexpr std::int64_t kRunLength = 33;

/// A token of a site while values are drawn.
struct Spot {
    std::string site, component;
    int layer = 0, position = 0, sequence = 0;
    std::int64_t token = 0;
    std::uint64_t seed = 0;

    /// White noise that depends on `what`, the seed and nothing else of the spot.
    Vector noise(const std::string& what, std::int64_t of) const {
        Rng rng(mix(seed, std::hash<std::string>{}(what), static_cast<std::uint64_t>(of)));
        Vector values(kRunDim);
        for (float& value : values) value = static_cast<float>(rng.normal());
        return values;
    }
    Vector own() const { return noise(site, token); }
    static Vector unit(Eigen::Index coordinate, double length) {
        Vector values = Vector::Zero(kRunDim);
        values[coordinate] = static_cast<float>(length);
        return values;
    }
};

/// Runs of one kind: what a site holds for a token.
struct RunFamily {
    std::string name;
    std::function<Vector(const Spot& spot)> value;
    /// Findings that are truly there, or whose null is another: none of their verdicts is an error here.
    std::vector<std::string> true_here = {};
    int n_layers = 6;

    bool counts(const std::string& finding) const {
        return std::ranges::find(true_here, finding) == true_here.end();
    }
};

/// Measure a run drawn from a family.
inline MeasureReport measured(const RunFamily& family, int sequences, std::uint64_t seed,
                              const MeasureOptions& options) {
    const test::TempFolder folder;
    test::RunSketch sketch;
    sketch.n_layers = family.n_layers;
    sketch.lengths.assign(static_cast<std::size_t>(sequences), kRunLength);
    sketch.sites.clear();
    for (int layer = 0; layer < family.n_layers; ++layer) {
        for (const char* component : {"attn_out", "mlp_out", "resid_post"})
            sketch.sites.push_back({"blocks." + std::to_string(layer) + "." + component, {kRunDim}});
    }
    sketch.shard_tokens = 1000;
    sketch.edit = [](Json& run) { run["model"]["d_model"] = kRunDim; };
    sketch.value_of = [&](const std::string& site, std::int64_t token) {
        const auto [position, sequence] = sketch.place(token);
        return family.value({.site = site,
                             .component = site.substr(site.rfind('.') + 1),
                             .layer = std::stoi(site.substr(7)),
                             .position = position,
                             .sequence = sequence,
                             .token = token,
                             .seed = seed});
    };
    sketch.write(folder / "run");
    MeasureOptions own = options;
    own.seed = seed;
    return measure_run(Run::open(folder / "run"), own);
}

/// Five kinds of runs with nothing in them.
inline std::vector<RunFamily> runs_without_findings() {
    return {
        {"white noise", [](const Spot& s) -> Vector { return s.own(); }},
        {"falling spectrum, in a random basis",
         [](const Spot& s) -> Vector {
             // The same covariance everywhere: directions of falling length, turned by reflections of the
             // run's own.
             Vector values = s.own();
             for (Eigen::Index i = 0; i < kRunDim; ++i) values[i] /= std::sqrt(1.0f + static_cast<float>(i));
             for (int r = 0; r < 16; ++r) {
                 const Vector mirror = s.noise("basis", r).normalized();
                 values -= 2 * mirror.dot(values) * mirror;
             }
             return values;
         }},
        {"tokens of uneven length",
         [](const Spot& s) -> Vector {
             return s.own() * std::exp(0.5f * s.noise("length" + s.site, s.token)[0]);
         },
         {"intrinsic_dimension"}},  // a cloud of uneven lengths is no Gaussian one
        {"tokens that remember the one before",
         [](const Spot& s) -> Vector {
             Vector sum = s.own();
             float weight = 1;
             for (int back = 1; back <= std::min(s.position, 12); ++back)
                 sum += (weight *= 0.6f) * s.noise(s.site, s.token - back);
             return sum;
         },
         {"intrinsic_dimension"}},  // neighbours in the text are neighbours in space
        {"sequences with places of their own",
         [](const Spot& s) -> Vector { return s.own() + 0.5f * s.noise("sequence" + s.site, s.sequence); },
         {"intrinsic_dimension"}},
    };
}

/// An effect for a finding; `strength` 1 is strong, 0 none.
struct PlantedEffect {
    std::string finding;
    std::function<RunFamily(double strength)> with;
};

inline std::vector<PlantedEffect> planted_effects() {
    using V = Vector;
    const auto family = [](const std::string& name, std::function<V(const Spot&, double)> value,
                           int n_layers = 6) {
        return PlantedEffect{
            name, [name, value, n_layers](double strength) {
                return RunFamily{
                    name, [value, strength](const Spot& s) { return value(s, strength); }, {}, n_layers};
            }};
    };
    const auto side = [](const Spot& s) {
        return s.component == "attn_out" ? 1.0 : s.component == "mlp_out" ? -1.0 : 0.0;
    };
    const auto apart = [side](const Spot& s, double k) -> V {
        return s.own() + Spot::unit(0, 2 * k * side(s));
    };
    const auto halves = [](const Spot& s, double k) -> V {
        V values = s.own();
        const auto rest = static_cast<float>(1 - k);
        if (s.component == "attn_out") values.tail(kRunDim / 2) *= rest;
        if (s.component == "mlp_out") values.head(kRunDim / 2) *= rest;
        return values;
    };
    const auto massive = [](const Spot& s, double k) -> V {
        V values = s.own();
        values[3] *= static_cast<float>(1 + 5 * k);
        return values;
    };
    const auto spread = [](const Spot& s, double k) -> V {
        const double place = s.layer / 7.0, wide = std::exp(2 * k * std::sin(std::numbers::pi * place));
        return V::Constant(kRunDim, 3.0f) + static_cast<float>(wide) * s.own();
    };
    return {
        family("attn_mlp_separation", apart),
        family("attn_mlp_direction", apart),
        family("attn_mlp_overlap", halves),
        family(
            "separation_by_depth",
            [side](const Spot& s, double k) -> V {
                return s.own() + Spot::unit(0, s.layer >= 4 ? 2 * k * side(s) : 0);
            },
            16),
        family("first_token_norm",
               [](const Spot& s, double k) -> V {
                   return s.own() * (s.position == 0 ? 1 + 4 * static_cast<float>(k) : 1.0f);
               }),
        family("rogue_dimensions", massive),
        family("anisotropy", [](const Spot& s, double k) -> V { return s.own() + Spot::unit(1, 2 * k); }),
        family("intrinsic_dimension",
               [](const Spot& s, double k) -> V {
                   V values = s.own();
                   values.tail(kRunDim - 2) *= static_cast<float>(1 - 0.9 * k);
                   V curved = V::Zero(kRunDim);
                   for (int j = 0; j < 4; ++j) {
                       curved[4 * j] = std::cos(2.0f * static_cast<float>(j + 1) * values[0]);
                       curved[4 * j + 1] = std::sin(2.0f * static_cast<float>(j + 1) * values[0]);
                       curved[4 * j + 2] = std::cos(2.0f * static_cast<float>(j + 1) * values[1]);
                       curved[4 * j + 3] = std::sin(2.0f * static_cast<float>(j + 1) * values[1]);
                   }
                   return static_cast<float>(k) * curved + static_cast<float>(1 - k) * s.own();
               }),
        family("position_share",
               [](const Spot& s, double k) -> V {
                   return s.own() + static_cast<float>(k) * s.noise("table", s.position);
               }),
        family("position_helix",
               [](const Spot& s, double k) -> V {
                   const double turn = 2 * std::numbers::pi * 3 * s.position / 32.0;
                   return s.own() + Spot::unit(0, 3 * k * std::cos(turn)) +
                          Spot::unit(1, 3 * k * std::sin(turn)) +
                          Spot::unit(2, 9 * k * (s.position / 32.0 - 0.5));
               }),
        family("position_lattice",
               [](const Spot& s, double k) -> V {
                   const int p = s.position - 1;
                   return static_cast<float>(1 - 0.98 * k) * s.own() + Spot::unit(0, p % 8 - 3.5) +
                          Spot::unit(1, 2 * (p / 8) - 3) + Spot::unit(2, 20);
               }),
        family("layer_paths",
               [](const Spot& s, double k) -> V {
                   return s.noise("base", s.token) + 0.5f * s.own() + Spot::unit(0, k * s.layer);
               }),
        family("spread_tighten", spread, 8),
        family(
            "layer_cka",
            [](const Spot& s, double k) -> V {
                V sum = s.noise("base", s.token);
                for (int layer = 0; layer <= s.layer; ++layer)
                    sum += static_cast<float>(k) * s.noise("step" + std::to_string(layer), s.token);
                return sum + static_cast<float>(1 - k) * s.own();
            },
            8),
    };
}

}  // namespace tomograph::planted
