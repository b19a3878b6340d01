#include "tomograph/serve/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "tomograph/base/json_reason.h"

namespace tomograph {
namespace {

constexpr std::size_t kRemembered = 16;
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

struct Jobs::Job final : Progress {
    int id = 0;
    std::string name;
    std::size_t run = 0;
    std::atomic<bool> stop{false};
    mutable std::mutex mutex;
    std::string state = "running", task = "selecting", unit, error;
    std::int64_t done = 0, total = 0;
    bool saved = true;

    void begin(const std::string& what, std::int64_t of, const std::string& units) override {
        const std::lock_guard lock(mutex);
        task = what, unit = units, total = of, done = 0;
    }
    void update(std::int64_t so_many) override {
        const std::lock_guard lock(mutex);
        done = so_many;
    }
    bool stop_requested() const override { return stop; }
    void finish(const std::string& how, const std::string& why = "", bool is_saved = true) {
        const std::lock_guard lock(mutex);
        state = how, error = why, saved = is_saved;
    }
    bool running() const {
        const std::lock_guard lock(mutex);
        return state == "running";
    }
};

Jobs::~Jobs() {
    {
        const std::lock_guard lock(mutex_);
        for (const auto& job : jobs_) job->stop = true;
    }
    if (worker_.joinable()) worker_.join();
}

std::shared_ptr<Jobs::Job> Jobs::find(int id) const {
    const std::lock_guard lock(mutex_);
    for (const auto& job : jobs_) {
        if (job->id == id) return job;
    }
    throw Error(fmt::format("there is no job {}", id), "", "");
}

bool Jobs::busy() const {
    const std::lock_guard lock(mutex_);
    return std::any_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->running(); });
}

int Jobs::start(const Json& json) {
    const ProjectionRequest request = parse_request(json, limits_);
    const std::string capture = catalog_.capture(request.run);
    const std::shared_ptr<const Run> run = catalog_.run(request.run);
    const std::lock_guard lock(mutex_);
    if (std::any_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->running(); }))
        throw Busy("a projection is being computed", "one is made at a time", "wait for it or cancel it");
    const auto names = catalog_.taken_names(request.run);
    if (std::find(names.begin(), names.end(), request.name) != names.end())
        throw Error("there is a projection '" + request.name + "' already", "", "choose another name");
    if (worker_.joinable()) worker_.join();
    auto job = std::make_shared<Job>();
    job->id = next_;
    job->name = request.name;
    job->run = request.run;
    try {
        worker_ = std::thread([this, job, request, run, capture] { work(*job, request, *run, capture); });
    } catch (const std::system_error& e) {
        throw Error("the projection cannot be started", e.what(), "close other programs and try again");
    }
    ++next_;
    jobs_.push_back(job);
    if (jobs_.size() > kRemembered) jobs_.erase(jobs_.begin());
    return job->id;
}

/// What a job's thread does: whatever happens, the job ends.
void Jobs::work(Job& job, const ProjectionRequest& request, const Run& run, const std::string& capture) {
    try {
        auto projection =
            std::make_shared<const Projection>(make_projection(run, request, limits_.threads, job));
        if (job.stop) return job.finish("cancelled");
        job.begin("saving", 1, "");
        if (catalog_.capture(request.run) != capture)
            return job.finish("failed", "the run was captured anew meanwhile; ask again");
        bool saved = true;
        try {
            save_projection(run, *projection);
        } catch (
            const std::exception&) {  // a run on a disk that is full or read-only: this view has it still
            saved = false;
            catalog_.keep(request.run, projection);
        }
        job.finish("done", "", saved);
    } catch (const Stopped&) {
        job.finish("cancelled");
    } catch (const std::bad_alloc&) {
        job.finish("failed", "not enough memory; ask for fewer rows");
    } catch (const std::exception& e) {
        job.finish("failed", e.what());
    }
}

Json Jobs::status(int id) const {
    const auto job = find(id);
    const std::lock_guard lock(job->mutex);
    Json json = {{"id", id},           {"state", job->state}, {"run", job->run},     {"name", job->name},
                 {"task", job->task},  {"done", job->done},   {"total", job->total}, {"unit", job->unit},
                 {"saved", job->saved}};
    if (!job->error.empty()) json["error"] = job->error;
    return json;
}

void Jobs::cancel(int id) {
    find(id)->stop = true;
}

}  // namespace tomograph
