// What a page asks the viewer for, as JSON.
#include "fuzz.h"
#include "tomograph/serve/jobs.h"

namespace tomograph::fuzz {

std::vector<std::string> good_inputs() {
    return {
        R"({"run": 0, "name": "pair", "method": "pca", "dims": 6, "selection": {"components": ["attn_out", "mlp_out"],
               "layers": "2:9", "positions": "1:", "sequences": ":", "labels": [], "normalize": "unit",
               "mean": ["samples"], "rows": 100, "seed": 42, "layer_order": "given"}})",
        R"({"name": "map", "method": "umap", "dims": 3, "n_neighbors": 15, "min_dist": 0.1, "selection": {}})"};
}

std::string parse(const std::string& input) {
    return answer([&] {
        try {
            const ProjectionRequest request = parse_request(parse_json(input), {});
            (void)json_text(request.selection.json());
        } catch (const JsonError& e) {
            throw Error("no JSON", e.what(), "");
        }
    });
}

}  // namespace tomograph::fuzz
