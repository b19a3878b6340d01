// What an intervention does: the JSON of its acts, with directions from a matrix and from a projection beside
// it.
#include "fuzz.h"
#include "support/run_folder.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/intervene/act.h"
#include "tomograph/maps/projection.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

const Run& run() {
    static const Run run = [] {
        test::RunSketch{}.write(folder() / "run");
        Run opened = Run::open(folder() / "run");
        ProjectionOptions options;
        options.selection.components = {Component::attn_out};
        save_projection(opened, project_pca(opened, "pair", options, no_progress()));
        const std::vector<float> values{1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0};
        NpyWriter writer(folder() / "plane.npy", {2, 6});
        writer.write(values.data(), values.size());
        writer.finish();
        return opened;
    }();
    return run;
}

}  // namespace

std::vector<std::string> good_inputs() {
    (void)run();
    return {
        R"({"acts": [{"act": "zero", "site": "blocks.1.z", "heads": [0, 1], "positions": "1:"}]})",
        R"({"acts": [{"act": "rotate", "site": "blocks.0.attn_out", "direction": "plane.npy", "strength": 30},
                     {"act": "add", "site": "blocks.2.mlp_out", "direction": "run:pair:1", "strength": -2.5},
                     {"act": "clamp", "site": "embed", "direction": "run:pair:1-3", "label": "a"}]})",
        R"({"acts": [{"act": "patch", "site": "blocks.1.attn_out", "from": "run", "coordinates": [0, 5],
                      "positions": -1, "strength": 0.5}]})"};
}

std::string parse(const std::string& input) {
    const Run& model = run();
    return without(folder().path(), answer([&] {
                       const Json spec = [&] {
                           try {
                               return parse_json(input);
                           } catch (const JsonError& e) {
                               throw Error("no JSON", e.what(), "");
                           }
                       }();
                       for (const Act& act : read_acts(spec, model.sites(), folder().path())) {
                           const SiteShape& shape = model.site(act.site);
                           for (const std::int64_t column : columns_of(act, shape)) {
                               if (column < 0 || column >= shape.width())
                                   throw std::logic_error("an act changes a column that is not there");
                           }
                       }
                   }));
}

}  // namespace tomograph::fuzz
