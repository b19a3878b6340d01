#pragma once
// Small runs made by hand in which the truth is known.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/base/random.h"
#include "tomograph/findings/measure.h"

namespace tomograph::test {

inline constexpr std::int64_t kDim = 16;

/// White noise, different for each site, token and seed.
inline Vector noise(const std::string& site, std::int64_t token, std::uint64_t seed = 1) {
    Rng rng(mix(seed, std::hash<std::string>{}(site), static_cast<std::uint64_t>(token)));
    Vector values(kDim);
    for (float& value : values) value = static_cast<float>(rng.normal());
    return values;
}

/// Sites "blocks.L.COMPONENT" of these components.
inline std::vector<SketchSite> block_sites(const std::vector<int>& layers,
                                           const std::vector<std::string>& components) {
    std::vector<SketchSite> sites;
    for (const int layer : layers) {
        for (const std::string& component : components)
            sites.push_back({"blocks." + std::to_string(layer) + "." + component, {kDim}});
    }
    return sites;
}

inline std::vector<int> layers_to(int n) {
    std::vector<int> layers;
    for (int layer = 0; layer < n; ++layer) layers.push_back(layer);
    return layers;
}

inline int layer_of(const std::string& site) {
    return std::stoi(site.substr(7));
}

/// Eight sequences of 33 tokens over six layers, white noise everywhere.
inline RunSketch white_run() {
    RunSketch sketch;
    sketch.n_layers = 6;
    sketch.lengths.assign(8, 33);
    sketch.sites = block_sites(layers_to(6), {"attn_out", "mlp_out", "resid_post"});
    sketch.shard_tokens = 1000;
    sketch.value_of = [](const std::string& site, std::int64_t token) { return noise(site, token); };
    sketch.edit = [](Json& run) { run["model"]["d_model"] = kDim; };
    return sketch;
}

inline const MeasureOptions kSmall{.rows = 400, .bootstrap = 40, .threads = 2};

inline const Finding& finding(const MeasureReport& report, const std::string& name) {
    for (const Finding& one : report.findings) {
        if (one.name == name) return one;
    }
    throw std::runtime_error("no finding " + name);
}

inline MeasureReport measured(const RunSketch& sketch, const MeasureOptions& options = kSmall) {
    const TempFolder folder;
    sketch.write(folder / "run");
    return measure_run(Run::open(folder / "run"), options);
}

/// For messages.
inline std::string told(const Finding& finding) {
    return finding.name + ": " + verdict_name(finding.verdict) + " " + std::to_string(finding.effect) +
           " against " + std::to_string(finding.null) + ", " + finding.reason;
}

}  // namespace tomograph::test
