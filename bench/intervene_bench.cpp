// What an intervened pass costs beside a plain one, and what a pass costs that goes on from a block's stream.
// usage: intervene_bench MODEL [TOKENS [ROUNDS]]
// Processor time of all threads, which other programs on the machine disturb less than the clock on the wall;
// passes of each kind alternate, medians are printed.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/intervene/passes.h"
#include "tomograph/intervene/place_geometry.h"
#include "tomograph/model/model.h"

using namespace tomograph;

namespace {

double median_of(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                     values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        fmt::print(stderr, "usage: intervene_bench MODEL [TOKENS [ROUNDS]]\n");
        return 2;
    }
    const std::int64_t length = argc > 2 ? std::atoll(argv[2]) : 512;
    const int rounds = argc > 3 ? std::atoi(argv[3]) : 5;
    const Model model = Model::open(argv[1]);
    const PromptSet prompts = text_prompts(model.vocabulary(), {.sequences = 1, .length = length});
    const auto engine = make_loss_engine(model, prompts.sequences, false, 0, no_progress());
    const auto batch = make_batches(*engine, prompts.sequences).front();
    const int layers = model.info().n_layers;

    const auto acts = [&](int first, int last) {
        Json spec;
        for (int layer = first; layer < last; ++layer)
            spec["acts"].push_back({{"act", "zero"},
                                    {"site", Site{Component::mlp_out, layer}.name()},
                                    {"coordinates", {0, 1, 2}},
                                    {"strength", 0.5}});
        return prepare_acts(model, *engine, prompts, read_acts(spec, engine->sites(), ""), 1, no_progress());
    };
    const ActWriter one = acts(layers / 2, layers / 2 + 1), all = acts(0, layers);
    std::vector<std::size_t> streams;
    for (int layer = 0; layer < layers; ++layer)
        streams.push_back(site_index(*engine, {Component::resid_pre, layer}));
    BatchValues values(engine->sites(), streams, length);
    std::vector<double> losses(1, 0);
    const auto pass = [&](const Plan& plan, Tap* tap = nullptr) {
        add_losses(*engine, prompts.sequences, batch, plan, losses, tap);
    };
    pass({.reads = streams}, &values);

    struct Kind {
        std::string name;
        std::function<void()> run;
        std::vector<double> seconds = {};
    };
    std::vector<Kind> kinds{{"plain", [&] { pass({}); }},
                            {"one act", [&] { pass({.writes = one.writes(batch.places)}); }},
                            {"an act in every block", [&] { pass({.writes = all.writes(batch.places)}); }}};
    for (int part = 1; part < 4; ++part) {
        const auto layer = static_cast<std::size_t>(part * layers / 4);
        kinds.push_back({fmt::format("from block {} of {}", layer, layers),
                         [&, layer] { pass({.given = Given{streams[layer], values.of(streams[layer])}}); }});
    }
    for (int round = 0; round < rounds; ++round) {
        for (Kind& kind : kinds) {
            const std::clock_t began = std::clock();
            kind.run();
            kind.seconds.push_back(static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC);
        }
    }
    const double plain = median_of(kinds.front().seconds);
    for (const Kind& kind : kinds)
        fmt::print("{:<24}{:8.3f} s  {:6.3f} of a plain pass\n", kind.name, median_of(kind.seconds),
                   median_of(kind.seconds) / plain);
}
