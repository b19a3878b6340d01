// What a run keeps beside vectors or in their place: scores on axes, means and moments.
#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/store/let_go.h"
#include "tomograph/store/opened_files.h"
#include "tomograph/store/run.h"
#include "tomograph/store/sums.h"

namespace tomograph {
namespace {

constexpr std::int64_t kLargestMeans = 1 << 30;  // numbers
constexpr std::int64_t kRowsAtOnce = 4096;

/// Rows [begin, end) of a tensor of a shard, [n, width] in float32.
/// Errors: Error when it has another shape than run.json says.
void read_tensor(const Safetensors& file, const std::string& name, const ShardManifest& shard,
                 std::int64_t width, std::int64_t begin, std::int64_t end, float* out) {
    const auto& tensor = file.at(name);
    if (tensor.n_rows() != shard.rows.size() || tensor.width() != width || tensor.dtype == Dtype::i32)
        does_not_fit(file.path(), name + " has another shape than run.json says");
    tensor.read_rows(begin, end, out);
}

}  // namespace

bool Run::has_scores() const {
    return std::any_of(ranks_.begin(), ranks_.end(), [](std::int64_t rank) { return rank > 0; });
}

void Run::read_scores(const SiteShape& shape, const ShardManifest& shard, std::int64_t begin,
                      std::int64_t end, float* out) const {
    const std::int64_t k = rank(shape.site);
    const auto file = vectors(shard.number);
    const auto axes = basis(shape);
    Matrix scores(end - begin, k);
    read_tensor(*file, layout::axis_scores_tensor(shape.site.name()), shard, k, begin, end, scores.data());
    Eigen::Map<Matrix> rows(out, end - begin, shape.width());
    rows.noalias() = (axes->scale * scores) * axes->components;
    rows.rowwise() += axes->mean.transpose();
}

Matrix Run::means_of_rows(const SiteShape& shape) const {
    const std::string name = shape.site.name();
    const std::int64_t k = rank(shape.site), width = k > 0 ? k : shape.width();
    const std::string outside = json_.value("means_without_label", "");
    MatrixD sums = MatrixD::Zero(length(), width);
    VectorD counts = VectorD::Zero(length());
    Matrix rows;
    for (const ShardManifest& shard : shards_) {
        for (std::int64_t first = 0; first < shard.rows.size(); first += kRowsAtOnce) {
            rows.resize(std::min(kRowsAtOnce, shard.rows.size() - first), width);
            if (k > 0)
                read_tensor(*vectors(shard.number), layout::axis_scores_tensor(name), shard, width, first,
                            first + rows.rows(), rows.data());
            else
                read_rows(shape.site, shard.rows.begin + first, shard.rows.begin + first + rows.rows(),
                          rows.data());
            for (std::int64_t i = 0; i < rows.rows(); ++i) {
                const auto t = static_cast<std::size_t>(shard.tokens.begin + first + i);
                const std::int32_t label = tokens_.label[t];
                if (!outside.empty() && label >= 0 && labels_[static_cast<std::size_t>(label)] == outside)
                    continue;
                sums.row(tokens_.position[t]) += rows.row(i).cast<double>();
                counts[tokens_.position[t]] += 1;
            }
        }
    }
    for (Eigen::Index p = 0; p < sums.rows(); ++p) sums.row(p) /= std::max(1.0, counts[p]);
    if (k == 0) return sums.cast<float>();
    const auto axes = basis(shape);
    Matrix means = Matrix::Zero(length(), shape.width());
    for (Eigen::Index p = 0; p < means.rows(); ++p) {
        if (counts[p] == 0) continue;
        const Eigen::RowVectorXf mean = (axes->scale * sums.row(p)).cast<float>();
        means.row(p) = mean * axes->components + axes->mean.transpose();
    }
    return means;
}

std::vector<float> Run::residuals(const Site& wanted) const {
    const SiteShape& shape = site(wanted);
    if (rank(wanted) == 0)
        throw Error("no scores of " + shape.site.name() + " in " + path_.string(), "",
                    "capture it with --keep scores:K");
    std::vector<float> norms(static_cast<std::size_t>(n_rows()));
    for (const ShardManifest& shard : shards_) {
        if (shard.rows.size() == 0) continue;
        read_tensor(*vectors(shard.number), layout::residuals_tensor(shape.site.name()), shard, 1, 0,
                    shard.rows.size(), norms.data() + shard.rows.begin);
    }
    const float scale = basis(shape)->scale;
    for (float& norm : norms) norm *= scale;
    return norms;
}

SiteMoments Run::moments(const Site& wanted) const {
    const SiteShape& shape = site(wanted);
    if (!has_moments_)
        throw Error(path_.string() + " keeps no moments", "it was captured without them",
                    "capture it with --keep moments");
    SiteMoments moments;
    for (const ShardManifest& shard : shards_)
        moments.merge(
            read_moments(Safetensors(path_ / layout::moments_file(shard.number), Safetensors::Types::any),
                         shape, rank(wanted)));
    return moments;
}

std::shared_ptr<const SiteBasis> Run::basis(const SiteShape& shape) const {
    const std::string name = shape.site.name();
    {
        const std::lock_guard lock(files_->mutex);
        if (const auto found = files_->bases.find(name); found != files_->bases.end()) return found->second;
    }
    auto axes = std::make_shared<const SiteBasis>(read_basis(*files_->get(path_, layout::kBasis), shape));
    if (axes->rank() != rank(shape.site))
        does_not_fit(path_ / layout::kBasis,
                     "it has another number of axes of " + name + " than run.json says");
    const std::lock_guard lock(files_->mutex);
    return files_->bases.emplace(name, std::move(axes)).first->second;
}

Matrix Run::means(const Site& wanted) const {
    const SiteShape& shape = site(wanted);
    if (!has_means(wanted))
        throw Error(path_.string() + " keeps no means by position", "it was captured without them",
                    way_to_vectors(*this, "capture it with --keep means"));
    if (length() > kLargestMeans / shape.width())
        throw Error(fmt::format("the means of {} do not fit memory", shape.site.name()),
                    fmt::format("they are {} positions of {} numbers", length(), shape.width()), "");
    if (!has_means_) return means_of_rows(shape);
    const std::int64_t scores = rank(wanted);
    SiteShape summed = shape;
    if (scores > 0) summed.shape = {scores};
    MeanBuilder builder(summed, 0, length());
    for (const ShardManifest& shard : shards_) builder.add(*stats(shard.number));
    if (scores == 0) return builder.means();
    const auto axes = basis(shape);
    return (builder.means() * axes->components).rowwise() + axes->mean.transpose();
}

}  // namespace tomograph
