// Does a map that is fitted to a sample keep what is rare? Planted clusters of known sizes, a null without
// any, and rows to be imported for the measurement at full size (bench/umap_scale).
//
//     cover check [--rows N] [--fit N] [--threads N]
//     cover write FILE.npy [--rows N]
//
// check: 1,000,000 rows of 64 numbers in 30 clusters, beside them clusters of 30 to 1,000 rows, far from the
// rest or close by; a map fitted to 20,000 of them, the others placed. For each rare cluster: of its rows' 15
// nearest on the map, among all rows, how many are of it. Null: one cloud, and random rows of it called
// clusters of those sizes. One JSON object a line.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <string>
#include <unordered_map>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/maps/cover_sample.h"
#include "tomograph/maps/quality.h"
#include "tomograph/maps/subset_rows.h"
#include "tomograph/maps/umap.h"

namespace {

using namespace tomograph;

constexpr std::int64_t kDim = 64, kInner = 8;
constexpr int kBulk = 30, kNear = 15;

struct Rare {
    std::int64_t rows;
    double away;  // distance of its centre from that of a large cluster, in the radius of one
};
const std::vector<Rare> kRare{{30, 3},    {60, 3},    {100, 3},   {200, 3},   {500, 3}, {1000, 3},
                              {30, 2},    {60, 2},    {100, 2},   {200, 2},   {500, 2}, {1000, 2},
                              {100, 1.4}, {200, 1.4}, {500, 1.4}, {1000, 1.4}};

/// Rows that are made when they are read. Within a cluster, eight directions have most of the variance.
class PlantedRows final : public RowSource {
  public:
    PlantedRows(std::int64_t n, bool null, std::uint64_t seed) : n_(n), null_(null), seed_(seed) {
        std::int64_t total = 0;
        for (const Rare& rare : kRare) total += rare.rows;
        const auto chosen = sample_indices(n, total, mix(seed, 1));
        const auto order = permutation(total, mix(seed, 2));
        std::int64_t next = 0;
        for (std::size_t r = 0; r < kRare.size(); ++r) {
            for (std::int64_t i = 0; i < kRare[r].rows; ++i)
                rare_of_[chosen[static_cast<std::size_t>(order[static_cast<std::size_t>(next++)])]] =
                    static_cast<int>(r);
        }
        Rng rng(mix(seed, 3));
        centers_ = Matrix(kBulk + std::ssize(kRare), kDim);
        axes_.resize(static_cast<std::size_t>(centers_.rows()));
        for (Eigen::Index c = 0; c < centers_.rows(); ++c) {
            for (Eigen::Index j = 0; j < kDim; ++j) centers_(c, j) = static_cast<float>(0.8 * rng.normal());
            auto& axes = axes_[static_cast<std::size_t>(c)] = Matrix(kInner, kDim);
            for (Eigen::Index i = 0; i < axes.size(); ++i)
                axes.data()[i] = static_cast<float>(rng.normal() / std::sqrt(double{kDim}));
        }
        // Radius: sqrt of 8 directions of about unit variance and 64 of 0.1^2.
        const double radius = std::sqrt(kInner + 0.01 * kDim);
        for (std::size_t r = 0; r < kRare.size(); ++r) {
            Vector away(kDim);
            for (Eigen::Index j = 0; j < kDim; ++j) away[j] = static_cast<float>(rng.normal());
            away *= static_cast<float>(kRare[r].away * radius / away.norm());
            centers_.row(kBulk + static_cast<Eigen::Index>(r)) =
                centers_.row(static_cast<Eigen::Index>(r % kBulk)) + away.transpose();
        }
    }
    std::int64_t n_rows() const override { return n_; }
    std::int64_t dim() const override { return kDim; }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        for (std::int64_t row = begin; row < end; ++row, out += kDim) {
            Rng rng(mix(seed_, 4, static_cast<std::uint64_t>(row)));
            const int rare = rare_of(row);
            const auto cluster = null_      ? Eigen::Index{0}
                                 : rare < 0 ? static_cast<Eigen::Index>(rng.below(kBulk))
                                            : Eigen::Index{kBulk + rare};
            Eigen::Map<Vector> vector(out, kDim);
            vector = centers_.row(cluster).transpose();
            const double size = rare < 0 || null_ ? 1 : 0.5;  // rare ones are tighter
            for (Eigen::Index i = 0; i < kInner; ++i)
                vector += static_cast<float>(size * rng.normal()) *
                          axes_[static_cast<std::size_t>(cluster)].row(i).transpose();
            for (Eigen::Index j = 0; j < kDim; ++j)
                vector[j] += static_cast<float>(0.1 * size * rng.normal());
        }
    }
    int rare_of(std::int64_t row) const {
        const auto found = rare_of_.find(row);
        return found == rare_of_.end() ? -1 : found->second;
    }

  private:
    std::int64_t n_;
    bool null_;
    std::uint64_t seed_;
    std::unordered_map<std::int64_t, int> rare_of_;
    Matrix centers_;
    std::vector<Matrix> axes_;
};

/// Of each rare cluster's rows (200 at most): the share of their nearest on the map that are of it.
std::vector<double> kept_shares(const PlantedRows& rows, const Matrix& points, int threads) {
    std::vector<std::vector<std::int64_t>> members(kRare.size());
    std::vector<int> of(static_cast<std::size_t>(rows.n_rows()), -1);
    for (std::int64_t row = 0; row < rows.n_rows(); ++row) {
        const int rare = rows.rare_of(row);
        of[static_cast<std::size_t>(row)] = rare;
        if (rare >= 0 && members[static_cast<std::size_t>(rare)].size() < 200)
            members[static_cast<std::size_t>(rare)].push_back(row);
    }
    std::vector<double> shares;
    for (const auto& some : members) {
        std::vector<double> own(some.size());
        parallel_for(std::ssize(some), threads, [&](std::int64_t i) {
            const auto at = points.row(some[static_cast<std::size_t>(i)]);
            std::vector<std::pair<float, std::int64_t>> near;
            for (std::int64_t row = 0; row < points.rows(); ++row) {
                if (row == some[static_cast<std::size_t>(i)]) continue;
                const float d = (points.row(row) - at).squaredNorm();
                if (std::ssize(near) == kNear && d >= near.front().first) continue;
                near.emplace_back(d, row);
                std::push_heap(near.begin(), near.end());
                if (std::ssize(near) > kNear) {
                    std::pop_heap(near.begin(), near.end());
                    near.pop_back();
                }
            }
            const auto cluster = of[static_cast<std::size_t>(some[static_cast<std::size_t>(i)])];
            own[static_cast<std::size_t>(i)] =
                static_cast<double>(std::ranges::count_if(
                    near, [&](const auto& n) { return of[static_cast<std::size_t>(n.second)] == cluster; })) /
                kNear;
        });
        shares.push_back(std::accumulate(own.begin(), own.end(), 0.0) / static_cast<double>(own.size()));
    }
    return shares;
}

/// Pieces of ten rows and more that 4,000 rows of the map fall into, each joined with its 15 nearest.
int islands(const Matrix& points) {
    const auto chosen = sample_indices(points.rows(), 4000, 7);
    const auto n = std::ssize(chosen);
    std::vector<std::int64_t> root(static_cast<std::size_t>(n));
    std::iota(root.begin(), root.end(), 0);
    const auto find = [&](std::int64_t i) {
        while (root[static_cast<std::size_t>(i)] != i) i = root[static_cast<std::size_t>(i)];
        return i;
    };
    for (std::int64_t i = 0; i < n; ++i) {
        std::vector<std::pair<float, std::int64_t>> near;
        for (std::int64_t j = 0; j < n; ++j) {
            near.emplace_back((points.row(chosen[static_cast<std::size_t>(j)]) -
                               points.row(chosen[static_cast<std::size_t>(i)]))
                                  .squaredNorm(),
                              j);
        }
        std::nth_element(near.begin(), near.begin() + kNear, near.end());
        for (int k = 0; k <= kNear; ++k)
            root[static_cast<std::size_t>(find(near[static_cast<std::size_t>(k)].second))] = find(i);
    }
    std::map<std::int64_t, int> sizes;
    for (std::int64_t i = 0; i < n; ++i) ++sizes[find(i)];
    return static_cast<int>(std::ranges::count_if(sizes, [](const auto& size) { return size.second >= 10; }));
}

Json check(const PlantedRows& rows, bool covers, std::int64_t fit, std::uint64_t seed, int threads) {
    const UmapOptions options{.seed = seed, .threads = threads};
    const auto fitted = covers ? covering_sample(rows, fit, {.seed = seed, .threads = threads})
                               : sample_indices(rows.n_rows(), fit, seed);
    std::vector<int> given(kRare.size());
    for (const std::int64_t row : fitted) {
        if (rows.rare_of(row) >= 0) ++given[static_cast<std::size_t>(rows.rare_of(row))];
    }
    const SubsetRows some(rows, fitted);
    const NeighborIndex index(some, neighbor_options(options));
    const Umap umap = fit_umap(some, index, index.neighbors(options.n_neighbors - 1), options);
    Matrix points(rows.n_rows(), 2);
    std::vector<std::int64_t> others;
    auto next = fitted.begin();
    for (std::int64_t row = 0; row < rows.n_rows(); ++row) {
        if (next != fitted.end() && *next == row)
            ++next;
        else
            others.push_back(row);
    }
    const Matrix placed = transform(umap, index, SubsetRows(rows, others));
    for (std::size_t i = 0; i < others.size(); ++i)
        points.row(others[i]) = placed.row(static_cast<Eigen::Index>(i));
    for (std::size_t i = 0; i < fitted.size(); ++i)
        points.row(fitted[i]) = umap.points.row(static_cast<Eigen::Index>(i));
    const MapQuality quality = measure_quality(rows, points, {.seed = seed, .threads = threads});
    Json json = {{"sample", covers ? "cover" : "uniform"},
                 {"rows", rows.n_rows()},
                 {"fitted", fitted.size()},
                 {"trustworthiness", quality.trustworthiness},
                 {"neighbors_kept", quality.neighbor_recall},
                 {"islands", islands(points)}};
    const auto shares = kept_shares(rows, points, threads);
    for (std::size_t r = 0; r < kRare.size(); ++r)
        json["rare"].push_back({{"rows", kRare[r].rows},
                                {"away", kRare[r].away},
                                {"fitted", given[r]},
                                {"own", std::round(1000 * shares[r]) / 1000}});
    return json;
}

}  // namespace

int main(int argc, char** argv) {
    std::int64_t n = 1'000'000, fit = 20'000;
    int threads = 0, seeds = 1;
    const std::string what = argc > 1 ? argv[1] : "";
    std::string file;
    for (int i = 2; i < argc; ++i) {
        const std::string word = argv[i];
        const bool more = i + 1 < argc;
        if (word == "--rows" && more)
            n = std::stoll(argv[++i]);
        else if (word == "--fit" && more)
            fit = std::stoll(argv[++i]);
        else if (word == "--seeds" && more)
            seeds = std::stoi(argv[++i]);
        else if (word == "--threads" && more)
            threads = std::stoi(argv[++i]);
        else
            file = word;
    }
    threads = thread_count(threads);
    try {
        if (what == "write" && !file.empty()) {
            const PlantedRows rows(n, false, 1);
            // As sequences of 1,000 positions: means by position are then small.
            NpyWriter writer(file, n % 1000 == 0 ? std::vector<std::int64_t>{n / 1000, 1000, kDim}
                                                 : std::vector<std::int64_t>{n, kDim});
            Matrix block(1024, kDim);
            for (std::int64_t begin = 0; begin < n; begin += 1024) {
                const std::int64_t end = std::min(begin + 1024, n);
                rows.read(begin, end, block.data());
                writer.write(block.data(), static_cast<std::size_t>((end - begin) * kDim));
            }
            writer.finish();
            return 0;
        }
        if (what != "check") {
            fmt::print(stderr,
                       "usage: cover check|write FILE [--rows N] [--fit N] [--seeds N] [--threads N]\n");
            return 2;
        }
        for (int seed = 1; seed <= seeds; ++seed) {
            for (const bool null : {false, true}) {
                const PlantedRows rows(n, null, static_cast<std::uint64_t>(seed));
                for (const bool covers : {false, true}) {
                    Json json = check(rows, covers, fit, static_cast<std::uint64_t>(seed), threads);
                    json["null"] = null;
                    json["seed"] = seed;
                    fmt::print("{}\n", json.dump());
                    std::fflush(stdout);
                }
            }
        }
    } catch (const std::exception& e) {
        fmt::print(stderr, "{}\n", e.what());
        return 1;
    }
    return 0;
}
