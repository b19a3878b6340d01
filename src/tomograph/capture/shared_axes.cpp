#include "tomograph/capture/shared_axes.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "tomograph/base/random.h"
#include "tomograph/linear/eigenpairs.h"
#include "tomograph/linear/rows_product.h"

namespace tomograph {
namespace {

constexpr std::int64_t kShare = 4;  ///< one in so many axes is shared
constexpr std::int64_t kMore = 16;  ///< directions iterated beyond those wanted
constexpr int kIterations = 6;

using Axes = SketchPca::Axes;

/// Sites of one group and one width are looked at together.
std::pair<int, std::int64_t> group_of(const SiteShape& site) {
    const Component component = site.site.component;
    const bool state = component == Component::embed || is_stream(component);
    const int group = writes_to_stream(component) ? -2 : state ? -1 : static_cast<int>(component);
    return {group, site.width()};
}

/// The first `most` orthonormal rows that span what the rows given span, in their order; those that the ones
/// before span are left out.
class Orthonormal {
  public:
    Orthonormal(Eigen::Index most, Eigen::Index d) : rows_(most, d) {}
    void add(const Matrix& rows) { add(MatrixD(rows.cast<double>())); }
    void add(const MatrixD& rows) {
        constexpr double kSpanned = 1e-5;
        for (Eigen::Index i = 0; i < rows.rows() && n_ < rows_.rows(); ++i) {
            const double length = rows.row(i).norm();
            if (!(length > 0)) continue;
            Eigen::RowVectorXd rest = rows.row(i) / length;
            // Once more for what rounding leaves.
            for (int time = 0; time < 2; ++time)
                rest -= (rest * rows_.topRows(n_).transpose()) * rows_.topRows(n_);
            const double left = rest.norm();
            if (left > kSpanned) rows_.row(n_++) = rest / left;
        }
    }
    Matrix rows() const { return rows_.topRows(n_).cast<float>(); }

  private:
    MatrixD rows_;
    Eigen::Index n_ = 0;
};

Matrix orthonormal(const MatrixD& rows) {
    Orthonormal all(rows.rows(), rows.cols());
    all.add(rows);
    return all.rows();
}

/// The sites' sum times directions [r, d], as rows.
MatrixD multiply(const std::vector<const Axes*>& sites, double count, const Matrix& directions) {
    const Eigen::Index r = directions.rows(), d = directions.cols();
    Matrix sum = Matrix::Zero(r, d);
    for (const Axes* site : sites) {
        const Eigen::Index k = site->components.rows();
        const double trace = site->squares.sum() / count + site->mean.cast<double>().squaredNorm();
        if (!(trace > 0) || !std::isfinite(trace)) continue;
        Matrix along(k, r);
        multiply_by_rows(site->components.data(), k, directions.data(), r, d, along.data());
        along = (site->squares / (count * trace)).cast<float>().asDiagonal() * along;
        add_transposed_product(along.data(), k, r, site->components.data(), d, sum.data());
        const Vector of_mean = directions * site->mean / static_cast<float>(trace);
        sum.noalias() += of_mean * site->mean.transpose();
    }
    return sum.cast<double>();
}

/// The leading n directions of the sites' sum, [n, d].
Matrix leading(const std::vector<const Axes*>& sites, double count, std::int64_t n, std::uint64_t seed) {
    const std::int64_t d = sites.front()->mean.size(), r = std::min(d, n + kMore);
    Rng random(seed);
    MatrixD start(r, d);
    for (Eigen::Index i = 0; i < start.size(); ++i) start.data()[i] = random.normal();
    Matrix directions = orthonormal(start);
    for (int i = 0; i < kIterations; ++i) directions = orthonormal(multiply(sites, count, directions));
    const MatrixD product = multiply(sites, count, directions);
    const MatrixD inner = product * directions.transpose().cast<double>();
    const Eigenpairs of = all_eigenpairs(0.5 * (inner + inner.transpose()), "no axes could be fitted");
    return of.vectors.topRows(std::min<Eigen::Index>(n, directions.rows())).cast<float>() * directions;
}

/// Its mean, the shared ones, then as many of its own as make as many.
Matrix join(const Matrix& shared, const Axes& own) {
    Orthonormal all(own.components.rows(), own.components.cols());
    all.add(Matrix(own.mean.transpose()));
    all.add(shared);
    all.add(own.components);
    return all.rows();
}

}  // namespace

void share_axes(std::vector<Axes>& fitted, const std::vector<SiteShape>& sites, std::int64_t count,
                std::int64_t k, std::uint64_t seed) {
    const std::int64_t n = k / kShare;
    if (n == 0 || count == 0) return;
    std::map<std::pair<int, std::int64_t>, std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < sites.size(); ++i) groups[group_of(sites[i])].push_back(i);
    for (const auto& [group, members] : groups) {
        const std::int64_t width = group.second;
        if (k >= width) continue;
        Matrix shared(0, width);
        if (members.size() > 1) {
            std::vector<const Axes*> axes;
            for (const std::size_t i : members) axes.push_back(&fitted[i]);
            shared = leading(axes, static_cast<double>(count), n, seed);
        }
        for (const std::size_t i : members) {
            if (fitted[i].components.rows() == k) fitted[i].components = join(shared, fitted[i]);
        }
    }
}

}  // namespace tomograph
