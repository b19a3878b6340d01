#pragma once
// Whole runs of which the truth is known: families in which nothing is to be found, and effects of any
// strength for each finding. For the suite and bench/calibrate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <optional>
#include <string>
#include <vector>

#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/base/random.h"
#include "tomograph/findings/lens_table.h"
#include "tomograph/findings/measure.h"

namespace tomograph::planted {

inline constexpr std::int64_t kRunDim = 16;
inline constexpr std::int64_t kRunLength = 33;
inline constexpr int kExperts = 4;

/// A token of a site while values are drawn.
struct Spot {
    std::string site, component;
    int layer = 0, position = 0, sequence = 0;
    double speed = 1;  ///< of rotation, of the run that the value is for
    bool cut = false;  ///< tokens of that run read a short context
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
    /// The same in every run: what the model is, and not what it read.
    Vector of_model(const std::string& what, std::int64_t of) const {
        Spot spot = *this;
        spot.seed = 0;
        return spot.noise(what, of);
    }
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
    std::int64_t length = kRunLength;  ///< tokens a sequence
    /// What a lens of the run says; none: there is no lens.
    std::function<LensTable(int sequences, std::uint64_t seed)> lens = {};
    std::vector<double> speeds = {};                   ///< of further runs of the same text
    std::int64_t context = 0;                          ///< of one more, if above 0
    std::function<int(const Spot& spot)> expert = {};  ///< that each layer's router prefers; none: no mixture
    std::function<int(const Spot& spot)> label = {};   ///< of a token, 0 or 1; none: no labels

    bool counts(const std::string& finding) const {
        return std::ranges::find(true_here, finding) == true_here.end();
    }
};

/// Measure a run drawn from a family.
inline MeasureReport measured(const RunFamily& family, int sequences, std::uint64_t seed,
                              const MeasureOptions& options) {
    const test::TempFolder folder;
    test::RunSketch sketch;
    double speed = 1;
    bool cut = false;
    sketch.n_layers = family.n_layers;
    sketch.lengths.assign(static_cast<std::size_t>(sequences), family.length);
    sketch.sites.clear();
    for (int layer = 0; layer < family.n_layers; ++layer) {
        for (const char* component : {"attn_out", "mlp_out", "resid_post"})
            sketch.sites.push_back({"blocks." + std::to_string(layer) + "." + component, {kRunDim}});
    }
    const auto spot_of = [&](const std::string& site, std::int64_t token) -> Spot {
        const auto [position, sequence] = sketch.place(token);
        return {.site = site,
                .component = site.substr(site.rfind('.') + 1),
                .layer = std::stoi(site.substr(7)),
                .position = position,
                .sequence = sequence,
                .speed = speed,
                .cut = cut,
                .token = token,
                .seed = seed};
    };
    for (int layer = 0; family.expert && layer < family.n_layers; ++layer)
        sketch.sites.push_back({"blocks." + std::to_string(layer) + ".router", {kExperts}});
    if (family.label) {
        sketch.labels = {"context", "question"};
        for (std::int64_t token = 0; token < sequences * family.length; ++token)
            sketch.token_labels.push_back(family.label(spot_of("blocks.0.resid_post", token)));
    }
    sketch.shard_tokens = 1000;
    sketch.edit = [&](Json& run) {
        run["model"]["d_model"] = kRunDim;
        run["capture"]["rope_frequency"] = speed;
        run["capture"]["context"] = cut ? family.context : 0;
    };
    sketch.value_of = [&](const std::string& site, std::int64_t token) -> Vector {
        const Spot spot = spot_of(site, token);
        if (!site.ends_with(".router")) return family.value(spot);
        Vector gates = Vector::Constant(kExperts, 0.1f);
        gates[family.expert(spot)] = 0.7f;
        return gates;
    };
    sketch.write(folder / "run");
    const Run run = Run::open(folder / "run");
    if (family.lens) save_lens(run, family.lens(sequences, seed));
    MeasureOptions own = options;
    own.seed = seed;
    std::vector<Run> doses;
    for (const double other : family.speeds) {
        speed = other;
        const auto path = folder / fmt::format("speed-{}", other);
        sketch.write(path);
        doses.push_back(Run::open(path));
    }
    for (const Run& dose : doses) own.rope_doses.push_back(&dose);
    std::optional<Run> short_context;
    if (family.context > 0) {
        speed = 1;
        cut = true;
        sketch.write(folder / "cut");
        short_context = Run::open(folder / "cut");
        own.context = &*short_context;
    }
    return measure_run(run, own);
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

/// A lens of readings whose divergence from the answer is `left(layer)` of the mean answer's, by sequence
/// times a lognormal factor of deviation `noise`; sequences differ by `uneven` in how hard they are. Other
/// tokens' answers are farther away than the mean answer, or as near as the own one where `shifted_alike`.
struct PlantedLens {
    std::function<double(int layer, int n_layers)> left;
    double noise = 0.2, uneven = 0.2;
    bool shifted_alike = false;

    LensTable draw(int sequences, std::uint64_t seed, int n_layers = 6) const {
        Rng rng(mix(seed, 0x1e45));
        const auto n = static_cast<std::size_t>(sequences);
        LensTable table{.n_tokens = sequences * kRunLength, .n_layers = n_layers, .fitted_on = 100};
        const LensNumbers none{std::vector<double>(n, 0), std::vector<double>(n, 1),
                               std::vector<double>(n, 0)};
        table.final = table.unigram = none;
        for (std::size_t s = 0; s < n; ++s) {
            table.sequences.push_back(static_cast<std::int32_t>(s));
            table.rows.push_back(16);
            table.unigram.kl[s] = 4 * std::exp(uneven * rng.normal());
        }
        for (int layer = 0; layer < n_layers; ++layer) {
            for (const LensKind lens : {LensKind::logit, LensKind::ridge}) {
                LensSeries series{
                    .site = {Component::resid_post, layer}, .lens = lens, .own = none, .shifted = none};
                for (std::size_t s = 0; s < n; ++s) {
                    const double share = layer + 1 == n_layers ? 1e-6 : left(layer, n_layers);
                    series.own.kl[s] = table.unigram.kl[s] * share * std::exp(noise * rng.normal());
                    series.shifted.kl[s] =
                        shifted_alike ? series.own.kl[s] : table.unigram.kl[s] * (1.5 + 0.1 * rng.normal());
                }
                table.series.push_back(std::move(series));
            }
        }
        return table;
    }
};

/// A curve by position that runs through its places `speed` times as fast: a wave that bends and dies away.
inline Vector curve_at(double position, double speed, double size) {
    const double t = speed * position, turn = 2 * std::numbers::pi * t / 90, fading = std::exp(-t / 80);
    return Spot::unit(0, size * std::cos(turn) * fading) + Spot::unit(1, size * std::sin(turn) * fading) +
           Spot::unit(2, size * fading);
}

inline constexpr std::int64_t kDoseLength = 129, kContext = 16;
inline constexpr int kDoseSequences = 16;
inline const std::vector<double> kSpeeds{0.7, 0.85, 1.15, 1.3};

/// An expert of the token's own, at each layer.
inline int expert_of_token(const Spot& s) {
    Rng rng(
        mix(mix(s.seed, 0xe9e7), static_cast<std::uint64_t>(s.layer), static_cast<std::uint64_t>(s.token)));
    return static_cast<int>(rng.below(kExperts));
}
/// A question at the head of a sequence or at its end, the border between a third and two thirds of it.
inline int label_in_either_order(const Spot& s) {
    Rng rng(mix(s.seed, 0x1abe1, static_cast<std::uint64_t>(s.sequence)));
    const int border = 10 + static_cast<int>(rng.below(13));
    return static_cast<int>((s.position < border) == (rng.below(2) == 1));
}

/// Runs without what a finding that needs more than a run says: its name with each.
inline std::vector<std::pair<std::string, RunFamily>> further_runs_without_findings() {
    const auto white = [](const Spot& s) -> Vector { return s.own(); };
    std::vector<std::pair<std::string, RunFamily>> all;
    const auto lens = [&](const std::string& name, const PlantedLens& planted) {
        all.push_back(
            {"answer_depth", {.name = name, .value = white, .lens = [planted](int n, std::uint64_t seed) {
                                  return planted.draw(n, seed);
                              }}});
    };
    const auto nothing = [](int, int) { return 1.0; };
    const auto nearly = [](int layer, int n) { return 1 - 0.45 * (layer + 1) / (n - 1); };
    lens("nothing is known before the last layer", {.left = nothing});
    lens("a little less than half is known", {.left = nearly});
    lens("the same, noisy", {.left = nearly, .noise = 0.6});
    lens("the same, of sequences that differ", {.left = nearly, .uneven = 1});
    lens("half is known, and of other tokens as much",
         {.left = [](int layer, int n) { return 1 - 0.9 * (layer + 1) / n; }, .shifted_alike = true});
    const auto dose = [&](const std::string& name, const std::function<Vector(const Spot&)>& value) {
        all.push_back(
            {"rope_dose", {.name = name, .value = value, .length = kDoseLength, .speeds = kSpeeds}});
    };
    dose("white noise", white);
    dose("a curve that stays", [](const Spot& s) -> Vector { return s.own() + curve_at(s.position, 1, 4); });
    dose("a faint curve that stays",
         [](const Spot& s) -> Vector { return s.own() + curve_at(s.position, 1, 2); });
    dose("a curve that stays, tokens that remember", [](const Spot& s) -> Vector {
        Vector sum = s.own() + curve_at(s.position, 1, 4);
        float weight = 1;
        for (int back = 1; back <= std::min(s.position, 8); ++back)
            sum += (weight *= 0.6f) * s.noise(s.site, s.token - back);
        return sum;
    });
    dose("a curve that grows with speed and stays",
         [](const Spot& s) -> Vector { return s.own() + curve_at(s.position, 1, 4 * s.speed); });
    dose("noise of each speed's own, a curve that stays", [](const Spot& s) -> Vector {
        return s.noise(s.site + std::to_string(s.speed), s.token) + curve_at(s.position, 1, 4);
    });
    const auto context = [&](const std::string& name, const std::function<Vector(const Spot&)>& value) {
        all.push_back({"context_share", {.name = name, .value = value, .length = 65, .context = kContext}});
    };
    const auto table = [](const Spot& s, double size) -> Vector {
        return static_cast<float>(size) * s.of_model("table", s.position);
    };
    context("white noise", white);
    context("positions that stay", [table](const Spot& s) -> Vector { return s.own() + table(s, 0.5); });
    context("faint positions that stay",
            [table](const Spot& s) -> Vector { return s.own() + table(s, 0.2); });
    context("positions that stay, noise of each run's own", [table](const Spot& s) -> Vector {
        return s.noise(s.site + (s.cut ? "cut" : ""), s.token) + table(s, 0.5);
    });
    all.push_back(
        {"expert_share", {.name = "experts of white noise", .value = white, .expert = expert_of_token}});
    all.push_back(
        {"expert_share",
         {.name = "experts of whole sequences",
          .value = [](const Spot& s) -> Vector { return s.own() + Spot::unit(s.sequence % kExperts, 3); },
          .expert = [](const Spot& s) { return s.sequence % kExperts; }}});
    for (const char* name : {"label_share", "label_probe"}) {
        all.push_back(
            {name, {.name = "labels of white noise", .value = white, .label = label_in_either_order}});
        all.push_back(
            {name,
             {.name = "labels of sequences with places of their own",
              .value = [](const Spot& s) -> Vector { return s.own() + s.noise("place", s.sequence); },
              .label = label_in_either_order}});
        all.push_back({name,
                       {.name = "labels that go with the position",
                        .value = [](const Spot& s) -> Vector {
                            return s.own() + Spot::unit(0, s.position > 20 ? 3 : 0);
                        },
                        .label = [](const Spot& s) { return static_cast<int>(s.position > 20); }}});
    }
    return all;
}

/// Enough sequences for an interval of a finding that holds two halves of them against each other.
inline int sequences_of(const std::string& finding) {
    return finding == "rope_dose" ? kDoseSequences : 8;
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
        return PlantedEffect{name, [name, value, n_layers](double strength) {
                                 return RunFamily{
                                     .name = name,
                                     .value = [value, strength](const Spot& s) { return value(s, strength); },
                                     .n_layers = n_layers};
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
    const PlantedEffect depth{
        "answer_depth", [](double strength) {
            const PlantedLens lens{.left = [strength](int layer, int n) {
                return std::max(0.05, 1 - 1.2 * strength * (layer + 1) / (n - 1));
            }};
            return RunFamily{.name = "answer_depth",
                             .value = [](const Spot& s) -> Vector { return s.own(); },
                             .lens = [lens](int n, std::uint64_t seed) { return lens.draw(n, seed); }};
        }};
    const PlantedEffect dose{
        "rope_dose", [](double strength) {
            return RunFamily{.name = "rope_dose",
                             .value = [strength](const Spot& s) -> Vector {
                                 return s.own() + curve_at(s.position, std::pow(s.speed, strength), 4);
                             },
                             .length = kDoseLength,
                             .speeds = kSpeeds};
        }};
    const PlantedEffect context{"context_share", [](double strength) {
                                    return RunFamily{.name = "context_share",
                                                     .value = [strength](const Spot& s) -> Vector {
                                                         const double left =
                                                             s.cut ? std::sqrt(1 - strength) : 1;
                                                         return s.own() + static_cast<float>(0.5 * left) *
                                                                              s.of_model("table", s.position);
                                                     },
                                                     .length = 65,
                                                     .context = kContext};
                                }};
    const auto labels = [](const std::string& name) {
        return PlantedEffect{name, [name](double strength) {
                                 return RunFamily{.name = name,
                                                  .value = [strength](const Spot& s) -> Vector {
                                                      const int label = label_in_either_order(s);
                                                      return s.own() + Spot::unit(0, 3 * strength * label);
                                                  },
                                                  .label = label_in_either_order};
                             }};
    };
    return {
        depth,
        dose,
        context,
        PlantedEffect{"expert_share",
                      [](double strength) {
                          return RunFamily{.name = "expert_share",
                                           .value = [strength](const Spot& s) -> Vector {
                                               return s.own() + Spot::unit(expert_of_token(s), 2 * strength);
                                           },
                                           .expert = expert_of_token};
                      }},
        labels("label_share"),
        labels("label_probe"),
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
                   return s.own() + static_cast<float>(k) * s.of_model("table", s.position);
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
