#include "tomograph/serve/jobs.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/json_reason.h"

namespace tomograph {
namespace {

constexpr int kMostNeighbors = 200;

}  // namespace

ProjectionRequest parse_request(const Json& json, const JobLimits& limits) {
    if (!json.is_object()) throw Error("the request is no JSON object", "", "");
    try {
        ProjectionRequest request;
        request.run = whole_number(json, "run", std::size_t{0});
        request.name = json.value("name", "");
        check_projection_name(request.name);
        request.method = json.value("method", "pca");
        const bool umap = request.method == "umap";
        if (!umap && request.method != "pca")
            throw Error("no method '" + request.method + "'", "", "use pca or umap");
        request.selection = selection_from_json(json.value("selection", Json::object()));
        request.selection.sample = Sample::tokens;
        request.dims = whole_number(json, "dims", umap ? 2 : 6);
        if (umap && request.dims != 2 && request.dims != 3)
            throw Error("a UMAP has 2 or 3 dimensions", "", "");
        if (request.dims < 1 || request.dims > limits.dims)
            throw Error(fmt::format("dims must lie between 1 and {}", limits.dims), "", "");
        UmapOptions& map = request.umap;
        map.metric = parse_metric(json.value("metric", std::string(metric_name(map.metric))));
        map.n_neighbors = whole_number(json, "n_neighbors", map.n_neighbors);
        if (map.n_neighbors < 2 || map.n_neighbors > kMostNeighbors)
            throw Error(fmt::format("n_neighbors must lie between 2 and {}", kMostNeighbors), "", "");
        map.min_dist = json.value("min_dist", map.min_dist);
        if (!(map.min_dist >= 0 && map.min_dist <= 1))
            throw Error("min_dist must lie between 0 and 1", "", "");
        std::int64_t& rows = request.selection.rows;
        const std::int64_t most = umap ? limits.umap_rows : limits.pca_rows;
        if (rows < 0) throw Error("rows must not be negative", "", "");
        rows = rows == 0 ? most : std::min(rows, most);
        return request;
    } catch (const Json::exception& e) {
        throw Error("the request cannot be read", json_reason(e), "");
    }
}

Json umap_defaults() {
    const ProjectionRequest request;
    Json json = {{"metric", metric_name(request.umap.metric)},
                 {"metrics", Json::array()},
                 {"n_neighbors", request.umap.n_neighbors},
                 {"min_dist", request.umap.min_dist}};
    for (const Metric metric : {Metric::cosine, Metric::euclidean, Metric::correlation})
        json["metrics"].push_back(metric_name(metric));
    return json;
}

Projection make_projection(const Run& run, const ProjectionRequest& request, int threads,
                           Progress& progress) {
    if (request.method == "umap") {
        UmapProjectionOptions options{.selection = request.selection, .umap = request.umap};
        options.umap.n_components = request.dims;
        options.umap.seed = request.selection.seed;
        options.umap.threads = threads;
        return project_umap(run, request.name, options, progress);
    }
    return project_pca(
        run, request.name,
        {.selection = request.selection, .dims = request.dims, .basis_of = {}, .threads = threads}, progress);
}

Jobs::Jobs(Catalog& catalog, JobLimits limits)
    : catalog_(catalog),
      limits_(limits),
      tasks_("the projection",
             Busy("a projection is being computed", "one is made at a time", "wait for it or cancel it")) {}

int Jobs::start(const Json& json) {
    const ProjectionRequest request = parse_request(json, limits_);
    const std::string capture = catalog_.capture(request.run);
    const std::shared_ptr<const Run> run = catalog_.run(request.run);
    const auto check = [&] {
        const auto names = catalog_.taken_names(request.run);
        if (std::find(names.begin(), names.end(), request.name) != names.end())
            throw Error("there is a projection '" + request.name + "' already", "", "choose another name");
    };
    const auto work = [this, request, run, capture](Task& task) -> Json {
        auto projection =
            std::make_shared<const Projection>(make_projection(*run, request, limits_.threads, task));
        if (task.stop_requested()) throw Stopped("nothing is kept");
        task.begin("saving", 1, "");
        if (catalog_.capture(request.run) != capture)
            throw Error("the run was captured anew meanwhile", "", "ask again");
        try {
            save_projection(*run, *projection);
        } catch (const std::exception&) {
            // A run on a disk that is full or read-only: this view has it still.
            catalog_.keep(request.run, projection);
            return {{"saved", false}};
        }
        return {{"saved", true}};
    };
    return tasks_.start({{"run", request.run}, {"name", request.name}, {"saved", true}}, check, work);
}

}  // namespace tomograph
