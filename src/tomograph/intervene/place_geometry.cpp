#include "tomograph/intervene/place_geometry.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/statistics/concentration.h"

namespace tomograph {
namespace {

constexpr double kRows = 512;

}  // namespace

BatchValues::BatchValues(std::span<const SiteShape> sites, const std::vector<std::size_t>& kept,
                         std::int64_t n_tokens) {
    for (const std::size_t site : kept) {
        place_[site] = values_.size();
        const std::int64_t width = sites[site].width();
        values_.push_back({width, std::vector<float>(static_cast<std::size_t>(n_tokens * width))});
    }
}

void BatchValues::take(const SiteBatch& batch) {
    std::copy_n(batch.data, batch.n_tokens * batch.width,
                values_[batch.site].data.begin() + batch.first_token * batch.width);
}

std::span<const float> BatchValues::of(std::size_t site) const {
    return values_[place_.at(site)].data;
}

PlaceGeometry::PlaceGeometry(std::int64_t width, std::int64_t first_column, std::int64_t n_tokens,
                             std::uint64_t seed)
    : width_(width),
      first_column_(first_column),
      keep_(kRows / static_cast<double>(std::max<std::int64_t>(n_tokens, 1))),
      seed_(seed) {}

void PlaceGeometry::add(const BatchValues& values, const std::vector<std::size_t>& sites, std::size_t stream,
                        std::span<const TokenPlace> places) {
    const std::int64_t stream_width = values.width(stream);
    const std::span<const float> stream_values = values.of(stream);
    Vector row(width_);
    for (std::size_t i = 0; i < places.size(); ++i) {
        const auto token = static_cast<std::int64_t>(i);
        row.setZero();
        for (const std::size_t site : sites) {
            // What is added to each of several streams for itself has no sum with what is dealt out to them.
            if (first_column_ == 0 && sites.size() > 1 && values.width(site) != width_) continue;
            row += Eigen::Map<const Vector>(
                values.of(site).data() + token * values.width(site) + first_column_, width_);
        }
        const double norm = row.norm();
        if (places[i].position == 0) {
            first_norm_ += norm;
            ++n_first_;
            continue;
        }
        norm_ += norm;
        stream_norm_ += static_cast<double>(
            Eigen::Map<const Vector>(stream_values.data() + token * stream_width, stream_width).norm());
        ++n_;
        const std::uint64_t hash = mix(seed_, static_cast<std::uint64_t>(places[i].sequence),
                                       static_cast<std::uint64_t>(places[i].position));
        if (to_unit(hash) < keep_) rows_.insert(rows_.end(), row.data(), row.data() + width_);
    }
}

std::array<double, kGeometries> PlaceGeometry::values() const {
    std::array<double, kGeometries> result;
    result.fill(kNoNumber);
    const auto set = [&](Geometry which, double value) { result[static_cast<std::size_t>(which)] = value; };
    if (n_ > 0) {
        set(Geometry::norm, norm_ / static_cast<double>(n_));
        set(Geometry::stream_share, stream_norm_ > 0 ? norm_ / stream_norm_ : kNoNumber);
        if (n_first_ > 0 && norm_ > 0)
            set(Geometry::first_token,
                first_norm_ / static_cast<double>(n_first_) / (norm_ / static_cast<double>(n_)));
    }
    const Eigen::Index n = static_cast<Eigen::Index>(rows_.size()) / width_;
    if (n < 3) return result;
    const Matrix rows = MatrixView(rows_.data(), n, width_);
    set(Geometry::top_share, top_share(rows.cast<double>().colwise().squaredNorm().transpose()));
    const std::vector<std::int32_t> group(static_cast<std::size_t>(n), 0);
    set(Geometry::cosine, Anisotropy(rows, group, 1).value());
    // (sum of variances)^2 over the sum of their squares, from the rows' products, which have the same
    // spectrum.
    const Eigen::RowVectorXf mean = rows.colwise().mean();
    const Matrix centred = rows.rowwise() - mean;
    const MatrixD products = (centred * centred.transpose()).cast<double>();
    const double squares = products.squaredNorm();
    if (squares > 0) set(Geometry::dimension, products.trace() * products.trace() / squares);
    return result;
}

}  // namespace tomograph
