// The reducers of src/tomograph/reduce on a matrix in a .npy file (float32, C order), timed. One JSON object
// a line on standard output; bench/reduce starts it and compares with the peers.
//
//     reduce_bench kernel
//     reduce_bench pca X.npy [--threads N]
//     reduce_bench knn X.npy --metric cosine [--k 15] [--threads N]
//     reduce_bench umap X.npy --metric cosine --out POINTS.npy [--init pca|spectral|multilevel] [--seed N]
//                  [--transform NEW.npy]
//
// The matrix is mapped, not read: pages come in as they are used, as from a run folder.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <regex>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/memory.h"
#include "tomograph/linear/panels.h"
#include "tomograph/linear/pca.h"
#include "tomograph/maps/quality.h"
#include "tomograph/maps/umap.h"
#include "tomograph/neighbors/neighbor_index.h"

namespace {

using namespace tomograph;

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double peak_megabytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// A mapped .npy matrix.
class NpyRows final : public RowSource {
  public:
    explicit NpyRows(const std::string& path) : file_(path) {
        const auto bytes = file_.bytes();
        const std::string start(reinterpret_cast<const char*>(bytes.data()),
                                std::min<std::size_t>(bytes.size(), 512));
        std::smatch shape;
        const std::regex header(R"('descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\))");
        if (start.substr(1, 5) != "NUMPY" || start[6] != 1 || !std::regex_search(start, shape, header)) {
            throw Error(path + " is not a float32 matrix", "only .npy version 1 in C order is read here", "");
        }
        n_rows_ = std::stoll(shape[1]);
        dim_ = std::stoll(shape[2]);
        std::uint16_t header_size = 0;
        std::memcpy(&header_size, bytes.data() + 8, 2);
        data_ = reinterpret_cast<const float*>(bytes.data() + 10 + header_size);
    }
    std::int64_t n_rows() const override { return n_rows_; }
    std::int64_t dim() const override { return dim_; }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        std::memcpy(out, data_ + begin * dim_,
                    static_cast<std::size_t>((end - begin) * dim_) * sizeof(float));
    }

  private:
    MappedFile file_;
    const float* data_;
    std::int64_t n_rows_, dim_;
};

void write_npy(const std::string& path, const Matrix& matrix) {
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}",
                                     matrix.rows(), matrix.cols());
    header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
    header += '\n';
    std::ofstream file(path, std::ios::binary);
    const auto size = static_cast<std::uint16_t>(header.size());
    file.write("\x93NUMPY\x01\x00", 8).write(reinterpret_cast<const char*>(&size), 2) << header;
    file.write(reinterpret_cast<const char*>(matrix.data()),
               static_cast<std::streamsize>(matrix.size() * sizeof(float)));
}

/// Checked against a plain product before it is timed.
Json bench_kernel() {
    constexpr std::int64_t k = 576;
    const Matrix a = Matrix::Random(panel_width, k), b = Matrix::Random(panel_width, k);
    const auto left = make_float_buffer(panel_floats(k)), right = make_float_buffer(panel_floats(k));
    const auto tile = make_float_buffer(tile_size);
    pack_panel(a.data(), panel_width, k, k, left.get());
    pack_panel(b.data(), panel_width, k, k, right.get());
    multiply_panels(left.get(), right.get(), k, tile.get());
    const float worst =
        (MatrixView(tile.get(), panel_width, panel_width) - a * b.transpose()).cwiseAbs().maxCoeff();
    if (!(worst < 1e-3f))
        throw Error("the tile kernel is wrong", fmt::format("largest difference {}", worst), "");
    double best = 1e9;
    for (int trial = 0; trial < 20; ++trial) {
        constexpr int repeats = 2000;
        const double start = seconds();
        for (int i = 0; i < repeats; ++i) multiply_panels(left.get(), right.get(), k, tile.get());
        best = std::min(best, (seconds() - start) / repeats);
    }
    return {{"gflops", 2.0 * tile_size * k / best * 1e-9}, {"largest_difference", worst}};
}

Json bench_pca(const RowSource& rows, int threads) {
    const double start = seconds();
    const Pca pca = fit_pca(rows, {.n_components = 6, .threads = threads});
    const double time = seconds() - start;
    return {{"seconds", time},
            {"peak_mb", peak_megabytes()},
            {"explained_variance",
             std::vector<double>(pca.explained_variance.begin(), pca.explained_variance.end())},
            {"components",
             std::vector<float>(pca.components.data(), pca.components.data() + pca.components.size())}};
}

Json bench_knn(const RowSource& rows, Metric metric, int k, int threads) {
    const double start = seconds();
    const NeighborIndex index(rows, {.metric = metric, .threads = threads});
    const double indexed = seconds();
    const Neighbors neighbors = index.neighbors(k);
    return {{"seconds", seconds() - start},
            {"index_seconds", indexed - start},
            {"peak_mb", peak_megabytes()},
            {"recall", neighbors.recall},
            {"method", neighbors.method}};
}

Json bench_umap(const RowSource& rows, UmapOptions options, const std::string& out,
                const std::string& fresh) {
    const double start = seconds();
    const NeighborIndex index(rows, neighbor_options(options));
    const Umap umap = fit_umap(rows, index, index.neighbors(options.n_neighbors - 1), options);
    Json result{{"seconds", seconds() - start},
                {"peak_mb", peak_megabytes()},
                {"init", umap.init},
                {"knn_recall", umap.knn_recall},
                {"knn_method", umap.knn_method}};
    const auto quality = measure_quality(rows, umap.points, {.metric = options.metric});
    result["trustworthiness"] = quality.trustworthiness;
    result["neighbor_recall"] = quality.neighbor_recall;
    if (!out.empty()) write_npy(out, umap.points);
    if (!fresh.empty()) {
        const NpyRows new_rows(fresh);
        const double before = seconds();
        const Matrix points = transform(umap, index, new_rows);
        result["transform_seconds"] = seconds() - before;
        result["transform_rows"] = new_rows.n_rows();
        result["transform_trustworthiness"] =
            measure_quality(new_rows, points, {.metric = options.metric}).trustworthiness;
    }
    return result;
}

UmapOptions::Init parse_init(const std::string& name) {
    if (name == "pca") return UmapOptions::Init::pca;
    if (name == "spectral") return UmapOptions::Init::spectral;
    return UmapOptions::Init::multilevel;
}

Json run(const std::vector<std::string>& words) {
    std::map<std::string, std::string> flags{
        {"--metric", "euclidean"}, {"--k", "15"}, {"--threads", "0"}, {"--seed", "42"}};
    for (std::size_t i = 2; i + 1 < words.size(); i += 2) flags[words[i]] = words[i + 1];
    const std::string& command = words.at(0);
    if (command == "kernel") return bench_kernel();
    const NpyRows rows(words.at(1));
    const int threads = std::stoi(flags["--threads"]);
    const Metric metric = parse_metric(flags["--metric"]);
    if (command == "pca") return bench_pca(rows, threads);
    if (command == "knn") return bench_knn(rows, metric, std::stoi(flags["--k"]), threads);
    if (command == "umap") {
        return bench_umap(rows,
                          {.metric = metric,
                           .init = parse_init(flags["--init"]),
                           .seed = std::stoull(flags["--seed"]),
                           .threads = threads},
                          flags["--out"], flags["--transform"]);
    }
    throw Error("no benchmark " + command, "", "use kernel, pca, knn or umap");
}

}  // namespace

int main(int argc, char** argv) {
    tomograph::return_large_blocks();
    try {
        fmt::print("{}\n", run({argv + 1, argv + argc}).dump());
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "reduce_bench: {}\n", error.what());
        return 1;
    }
}
