#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/base/version.h"
#include "tomograph/linear/finite.h"
#include "tomograph/linear/spread.h"
#include "tomograph/maps/cover_sample.h"
#include "tomograph/maps/neighbor_file.h"
#include "tomograph/maps/projection.h"
#include "tomograph/maps/quality.h"
#include "tomograph/maps/subset_rows.h"

namespace tomograph {
namespace {

/// Says nothing of its own work, and hears when to stop.
class OnlyStops final : public Progress {
  public:
    explicit OnlyStops(const Progress& of) : of_(of) {}
    bool stop_requested() const override { return of_.stop_requested(); }

  private:
    const Progress& of_;
};

/// The selected rows that a map is of, in files whose memory is let go of on the way.
struct Source {
    const SelectedRows& selected;
    PassingRows rows;

    Source(const Run& run, const SelectedRows& of) : selected(of), rows(of, [&run] { run.release(); }) {}
};

/// Rows that hold NaN or Inf, ascending. Errors: Error where there are more than kMostUnplaceable.
std::vector<std::int64_t> not_finite(const Source& source, int threads) {
    constexpr std::int64_t kBlock = 512;
    const RowSource& rows = source.rows;
    const std::int64_t n = rows.n_rows(), n_blocks = (n + kBlock - 1) / kBlock;
    std::vector<std::vector<std::int64_t>> of_blocks(static_cast<std::size_t>(n_blocks));
    std::atomic<std::int64_t> count{0};
    parallel_for(n_blocks, thread_count(threads), [&](std::int64_t block) {
        const std::int64_t begin = block * kBlock, end = std::min(begin + kBlock, n);
        Matrix values(end - begin, rows.dim());
        rows.read(begin, end, values.data());
        if (values.allFinite()) return;
        std::vector<std::int64_t>& found = of_blocks[static_cast<std::size_t>(block)];
        for (Eigen::Index i = 0; i < values.rows(); ++i) {
            // Once there are too many, one of each block is enough to name the first.
            if (!values.row(i).allFinite() && (++count <= kMostUnplaceable || found.empty()))
                found.push_back(begin + i);
        }
    });
    std::vector<std::int64_t> all;
    for (const auto& found : of_blocks) all.insert(all.end(), found.begin(), found.end());
    if (count > kMostUnplaceable)
        throw Error(fmt::format("{} of {} rows hold NaN or Inf", count.load(), n),
                    fmt::format("the first of them is {}", source.selected.describe(all.front())),
                    "capture with --dtype f32 --exact, or leave them out by --positions, --layers or "
                    "--components");
    return all;
}

/// Which rows are left out, and that they are.
void note_left_out(const SelectedRows& selected, const std::vector<std::int64_t>& rows, Json& info) {
    constexpr std::size_t kNamed = 3;
    std::string names;
    for (std::size_t i = 0; i < std::min(rows.size(), kNamed); ++i)
        names += (i == 0 ? "" : "; ") + selected.describe(rows[i]);
    if (rows.size() > kNamed) names += fmt::format("; and {} more", rows.size() - kNamed);
    info["not_finite"] = rows;
    info["notes"].push_back(
        rows.size() == 1
            ? "1 row holds NaN or Inf and has no place on the map: " + names
            : fmt::format("{} rows hold NaN or Inf and have no place on the map: {}", rows.size(), names));
}

/// The neighbours that a map of these rows is built on: those in the run's folder, else searched and put
/// there.
Neighbors kept_neighbors(const Run& run, const UmapProjectionOptions& options, const SubsetRows& fitted,
                         const NeighborIndex& index, Json& info, Progress& progress) {
    const int k = options.umap.n_neighbors - 1;
    Json how = {{"version", kVersion},          {"selection", options.selection.json()},
                {"run_rows", run.n_rows()},     {"n_rows", fitted.n_rows()},
                {"pre_dims", options.pre_dims}, {"metric", metric_name(options.umap.metric)},
                {"seed", options.umap.seed},    {"k", k}};
    if (info.contains("fit_sample")) how["fit_sample"] = info["fit_sample"];
    if (auto known = load_neighbors(run, how);
        known && known->indices.cols() == k && known->indices.rows() == fitted.n_rows())
        return *std::move(known);
    Neighbors found = index.neighbors(k, progress);
    try {
        save_neighbors(run, how, fitted.chosen(), found);
    } catch (const Error& e) {
        info["notes"].push_back(std::string("the neighbours are not kept for the next map: ") + e.what());
    }
    return found;
}

/// A map fitted to some of the rows, and what places the others on it.
struct FittedMap {
    SubsetRows fitted;
    std::optional<Pca> reducing;  // by which rows are reduced before
    std::optional<NeighborIndex> index;
    Umap umap;
};

FittedMap fit_map(const Run& run, const Source& source, std::vector<std::int64_t> fitted,
                  const UmapProjectionOptions& options, Json& info, Progress& progress) {
    const int threads = options.umap.threads;
    FittedMap map{SubsetRows(source.rows, std::move(fitted)), {}, {}, {}};
    Matrix reduced;
    if (options.pre_dims > 0 && options.pre_dims < source.rows.dim()) {
        map.reducing = fit_pca(map.fitted, {.n_components = options.pre_dims, .threads = threads}, progress);
        reduced = transform(*map.reducing, map.fitted, {.threads = threads}, progress);
        info["pre_dims"] = map.reducing->n_components();
        info["pre_dims_variance"] = map.reducing->explained_variance_ratio.sum();
    }
    const MatrixRows in_memory(reduced);
    const RowSource& rows = map.reducing ? static_cast<const RowSource&>(in_memory) : map.fitted;
    map.index.emplace(rows, neighbor_options(options.umap), progress);
    map.umap =
        fit_umap(rows, *map.index, kept_neighbors(run, options, map.fitted, *map.index, info, progress),
                 options.umap, progress);
    return map;
}

/// Rows that are placed at once.
std::int64_t placed_at_once(std::int64_t dim) {
    constexpr std::int64_t kMost = 65536, kFewest = 4096, kBytes = 256 << 20;
    return std::clamp(kBytes / (dim * std::int64_t{sizeof(float)}), kFewest, kMost);
}

/// Where a map's points go, in the order of the rows.
class Receiver {
  public:
    virtual ~Receiver() = default;
    /// These are the rows of the map.
    virtual void begin(const SelectedRows& rows) = 0;
    /// Points of rows [first, first + points.rows()).
    virtual void take(std::int64_t first, const Matrix& points) = 0;
};

/// Rows whose points are wanted again once all have been placed, to judge the map by.
class Judged {
  public:
    Judged(std::vector<std::int64_t> rows, int dims)
        : rows_(std::move(rows)), points_(std::ssize(rows_), dims) {}
    void take(std::int64_t first, const Matrix& points) {
        for (; next_ < rows_.size() && rows_[next_] < first + points.rows(); ++next_)
            points_.row(static_cast<Eigen::Index>(next_)) = points.row(rows_[next_] - first);
    }
    const std::vector<std::int64_t>& rows() const { return rows_; }
    const Matrix& points() const { return points_; }

  private:
    std::vector<std::int64_t> rows_;
    Matrix points_;
    std::size_t next_ = 0;
};

/// Places all rows block by block; those that were fitted stand where they are.
void place_all(const Source& source, const FittedMap& map, const UmapOptions& options, Receiver& receiver,
               Judged& judged, Progress& progress) {
    const std::int64_t n = source.rows.n_rows(), size = placed_at_once(source.rows.dim());
    const std::vector<std::int64_t>& fitted = map.fitted.chosen();
    const int n_epochs = placing_epochs(options, n - std::ssize(fitted));
    OnlyStops stops(progress);
    progress.begin("placing", n, "rows");
    std::size_t next = 0;
    for (std::int64_t begin = 0; begin < n; begin += size) {
        const std::int64_t end = std::min(begin + size, n);
        Matrix points(end - begin, options.n_components);
        std::vector<std::int64_t> others;
        for (std::int64_t row = begin; row < end; ++row) {
            if (next < fitted.size() && fitted[next] == row)
                points.row(row - begin) = map.umap.points.row(static_cast<Eigen::Index>(next++));
            else
                others.push_back(row);
        }
        if (!others.empty()) {
            const SubsetRows placed(source.rows, std::move(others));
            Matrix reduced;
            if (map.reducing) reduced = transform(*map.reducing, placed, {.threads = options.threads}, stops);
            const MatrixRows in_memory(reduced);
            const RowSource& rows = map.reducing ? static_cast<const RowSource&>(in_memory) : placed;
            const Matrix found = transform(map.umap, *map.index, rows, stops, n_epochs);
            for (std::int64_t i = 0; i < placed.n_rows(); ++i)
                points.row(placed.row(i) - begin) = found.row(i);
        }
        receiver.take(begin, points);
        judged.take(begin, points);
        progress.update(end);
    }
    progress.end();
}

/// A number for each component at each layer, of some rows; empty where all rows are of one.
std::vector<std::int32_t> sites_of(const SelectedRows& selected, const std::vector<std::int64_t>& rows) {
    const std::vector<Site> sites = selected.sites();
    std::vector<std::int32_t> numbers;
    if (sites.size() < 2) return numbers;
    for (const std::int64_t row : rows)
        numbers.push_back(static_cast<std::int32_t>(
            std::ranges::find(sites, selected.labels(row, row + 1).site(0)) - sites.begin()));
    return numbers;
}

void judge_map(const Source& source, const Judged& judged, const Umap& umap,
               const UmapProjectionOptions& options, Json& info, Progress& progress) {
    progress.begin("measuring how far to believe the map", 1, "");
    const std::vector<std::int32_t> sites = sites_of(source.selected, judged.rows());
    const MapQuality quality = measure_quality(SubsetRows(source.rows, judged.rows()), judged.points(),
                                               {.metric = options.umap.metric,
                                                .k = options.umap.n_neighbors,
                                                .sample = std::ssize(judged.rows()),
                                                .threads = options.umap.threads,
                                                .groups = sites});
    if (progress.stop_requested()) throw Stopped("nothing, the map was not finished");
    const UmapOptions& used = umap.options;
    info["umap"] = {{"n_neighbors", used.n_neighbors},
                    {"min_dist", used.min_dist},
                    {"spread", used.spread},
                    {"metric", metric_name(used.metric)},
                    {"n_epochs", umap.n_epochs},
                    {"negative_sample_rate", used.negative_sample_rate},
                    {"repulsion_strength", used.repulsion_strength},
                    {"init", umap.init},
                    {"seed", used.seed},
                    {"neighbor_search", umap.knn_method},
                    {"neighbor_search_recall", umap.knn_recall}};
    info["trustworthiness"] = quality.trustworthiness;
    info["knn_recall"] = quality.neighbor_recall;
    info["quality_sample"] = quality.n_sampled;
    info["quality_k"] = quality.k;
    if (!sites.empty())
        info["neighbors_of_own_site"] = {{"map", quality.own_group_on_map},
                                         {"space", quality.own_group_in_space},
                                         {"chance", quality.own_group_by_chance}};
}

/// Makes the map and hands its points to the receiver. Returns its info.
Json make_map(const Run& run, const UmapProjectionOptions& options, Receiver& receiver, Progress& progress) {
    const UmapOptions& how = options.umap;
    SelectedRows selected = select(run, options.selection);
    const auto fit_count = [&] {
        return options.fit_rows > 0 ? std::min(options.fit_rows, selected.n_rows()) : selected.n_rows();
    };
    check_umap(how, fit_count());
    Json info = {{"method", "umap"}};
    Spread spread;
    try {
        spread = measure_spread(Source(run, selected).rows, how.threads);
    } catch (const NonFinite&) {
        const auto bad = not_finite(Source(run, selected), how.threads);
        note_left_out(selected, bad, info);
        selected = selected.without(bad);
        check_umap(how, fit_count());
        spread = measure_spread(Source(run, selected).rows, how.threads);
    }
    const Source source(run, selected);
    const std::int64_t n = selected.n_rows(), n_fitted = fit_count();
    info["n_rows"] = n;
    info["n_candidates"] = selected.n_candidates();
    info["n_fitted"] = n_fitted;
    info["dim"] = selected.dim();
    info["selection"] = options.selection.json();
    info["dims"] = how.n_components;
    add_left_out(run, selected, info);
    info["relative_variance"] = spread.relative_variance();
    info["constant"] = spread.constant();
    receiver.begin(selected);
    if (spread.constant()) {
        const std::int64_t size = placed_at_once(selected.dim());
        for (std::int64_t begin = 0; begin < n; begin += size)
            receiver.take(begin, Matrix::Zero(std::min(size, n - begin), how.n_components));
        return info;
    }
    const bool covers = options.fit_sample == FitSample::cover;
    if (n_fitted < n) info["fit_sample"] = fit_sample_name(options.fit_sample);
    const FittedMap map = fit_map(
        run, source,
        covers ? covering_sample(source.rows, n_fitted,
                                 {.metric = how.metric, .seed = how.seed, .threads = how.threads}, progress)
               : sample_indices(n, n_fitted, how.seed),
        options, info, progress);
    constexpr std::int64_t kJudged = 5000;
    Judged judged(sample_indices(n, kJudged, mix(how.seed, 0x7175)), how.n_components);
    place_all(source, map, how, receiver, judged, progress);
    judge_map(source, judged, map.umap, options, info, progress);
    return info;
}

}  // namespace

FitSample parse_fit_sample(const std::string& text) {
    for (const FitSample sample : {FitSample::cover, FitSample::uniform}) {
        if (text == fit_sample_name(sample)) return sample;
    }
    throw Error("no sample '" + text + "'", "", "use cover or uniform");
}

const char* fit_sample_name(FitSample sample) {
    return sample == FitSample::cover ? "cover" : "uniform";
}

Projection project_umap(const Run& run, const std::string& name, const UmapProjectionOptions& options,
                        Progress& progress) {
    struct InMemory final : Receiver {
        Projection projection;
        void begin(const SelectedRows& rows) override {
            projection.labels = rows.labels();
            projection.points.resize(rows.n_rows(), dims);
        }
        void take(std::int64_t first, const Matrix& points) override {
            projection.points.middleRows(first, points.rows()) = points;
        }
        int dims = 0;
    } receiver;
    check_projection_name(name);
    receiver.projection.name = name;
    receiver.dims = options.umap.n_components;
    receiver.projection.info = make_map(run, options, receiver, progress);
    return std::move(receiver.projection);
}

Json project_umap_to_file(const Run& run, const std::string& name, const UmapProjectionOptions& options,
                          Progress& progress) {
    class ToFile final : public Receiver {
      public:
        ToFile(const Run& run, const std::string& name, const UmapProjectionOptions& options)
            : run_(run), name_(name), options_(options) {}
        void begin(const SelectedRows& rows) override {
            rows_ = rows;
            writer_.emplace(run_, name_, rows.n_rows(), options_.umap.n_components,
                            rows.labels(0, 1).renumbered());
        }
        void take(std::int64_t first, const Matrix& points) override {
            writer_->put(points, rows_.labels(first, first + points.rows()));
        }
        void finish(const Json& info) { writer_->finish(info); }

      private:
        const Run& run_;
        const std::string& name_;
        const UmapProjectionOptions& options_;
        SelectedRows rows_;
        std::optional<ProjectionWriter> writer_;
    } receiver(run, name, options);
    check_projection_name(name);
    Json info = make_map(run, options, receiver, progress);
    receiver.finish(info);
    return info;
}

}  // namespace tomograph
