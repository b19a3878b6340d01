#include "tomograph/store/sums.h"

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/store/layout.h"

namespace tomograph {

PositionSums::PositionSums(std::span<const std::int32_t> position, std::vector<SiteShape> sites)
    : sites_(std::move(sites)), narrow_sums_(sites_.size()), wide_sums_(sites_.size()) {
    positions_.assign(position.begin(), position.end());
    std::sort(positions_.begin(), positions_.end());
    positions_.erase(std::unique(positions_.begin(), positions_.end()), positions_.end());
    if (!positions_.empty() && positions_.front() < 0) positions_.erase(positions_.begin());
    counts_.assign(positions_.size(), 0);
    slot_.reserve(position.size());
    for (const std::int32_t p : position) {
        if (p < 0) {
            slot_.push_back(-1);
            continue;
        }
        const auto found = std::lower_bound(positions_.begin(), positions_.end(), p);
        slot_.push_back(static_cast<std::int32_t>(found - positions_.begin()));
        ++counts_[static_cast<std::size_t>(slot_.back())];
    }
    wide_ = !counts_.empty() && *std::max_element(counts_.begin(), counts_.end()) > kNarrowCount;
}

template <class Real>
void PositionSums::add_rows(std::vector<Real>& table, std::int64_t first, std::int64_t n, std::int64_t width,
                            const float* values, std::int64_t begin, std::int64_t end) const {
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int32_t slot = slot_[static_cast<std::size_t>(first + i)];
        if (slot < 0) continue;
        Real* sum = table.data() + slot * width;
        const float* row = values + i * width;
        for (std::int64_t d = begin; d < end; ++d) sum[d] += static_cast<Real>(row[d]);
    }
}

void PositionSums::open(std::size_t site) {
    const std::size_t numbers = positions_.size() * static_cast<std::size_t>(sites_[site].width());
    if (wide_)
        wide_sums_[site].resize(numbers);
    else
        narrow_sums_[site].resize(numbers);
}

bool PositionSums::apart(std::int64_t first, std::int64_t n) const {
    std::int32_t last = -1;
    for (std::int64_t t = first; t < first + n; ++t) {
        const std::int32_t slot = slot_[static_cast<std::size_t>(t)];
        if (slot >= 0 && slot <= last) return false;
        last = std::max(last, slot);
    }
    return true;
}

void PositionSums::add(std::size_t site, std::int64_t first, std::int64_t n, const float* values,
                       std::int64_t begin, std::int64_t end) {
    const std::int64_t width = sites_[site].width();
    if (wide_)
        add_rows(wide_sums_[site], first, n, width, values, begin, end);
    else
        add_rows(narrow_sums_[site], first, n, width, values, begin, end);
}

std::vector<TensorSpec> PositionSums::tensors() const {
    const auto n = static_cast<std::int64_t>(positions_.size());
    std::vector<TensorSpec> specs{{layout::kSumPositions, Dtype::i32, {n}},
                                  {layout::kSumCounts, Dtype::i32, {n}}};
    for (const SiteShape& site : sites_) {
        specs.push_back(layout::row_spec(site, n, Dtype::f32));
        specs.back().name = layout::sums_tensor(site.site.name());
    }
    return specs;
}

void PositionSums::write(SafetensorsWriter& file, std::size_t first) {
    file.write(first, 0, positions_.data(), positions_.size() * sizeof(std::int32_t));
    file.write(first + 1, 0, counts_.data(), counts_.size() * sizeof(std::int32_t));
    for (std::size_t i = 0; i < sites_.size(); ++i) {
        std::vector<float> sums;
        if (wide_) {
            const std::vector<double> wide = std::move(wide_sums_[i]);
            sums.assign(wide.begin(), wide.end());
        } else {
            sums = std::move(narrow_sums_[i]);
        }
        sums.resize(positions_.size() * static_cast<std::size_t>(sites_[i].width()));
        file.write(first + 2 + i, 0, sums.data(), sums.size() * sizeof(float));
    }
}

MeanBuilder::MeanBuilder(const SiteShape& site, std::int64_t begin, std::int64_t end)
    : site_(site), tensor_(layout::sums_tensor(site.site.name())), begin_(begin) {
    sums_ = MatrixD::Zero(end - begin, site_.width());
    counts_ = VectorD::Zero(end - begin);
}

void MeanBuilder::add(const Safetensors& stats) {
    const auto positions = stats.integers(layout::kSumPositions), counts = stats.integers(layout::kSumCounts);
    const auto& sums = stats.at(tensor_);
    const auto n = static_cast<std::int64_t>(positions.size());
    const bool fits = counts.size() == positions.size() && sums.n_rows() == n &&
                      sums.width() == site_.width() && sums.dtype != Dtype::i32 &&
                      std::all_of(counts.begin(), counts.end(), [](std::int32_t c) { return c > 0; });
    if (!fits)
        throw Error(stats.path().string() + " does not fit its run",
                    "its sums are not those of " + site_.site.name(), "capture it again");
    Vector row(site_.width());
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t position = positions[static_cast<std::size_t>(i)] - begin_;
        if (position < 0 || position >= sums_.rows()) continue;
        sums.read_rows(i, i + 1, row.data());
        sums_.row(position) += row.cast<double>();
        counts_[position] += counts[static_cast<std::size_t>(i)];
    }
}

Matrix MeanBuilder::means() const {
    Matrix means = Matrix::Zero(sums_.rows(), sums_.cols());
    for (Eigen::Index p = 0; p < means.rows(); ++p) {
        if (counts_[p] > 0) means.row(p) = (sums_.row(p) / counts_[p]).cast<float>();
    }
    return means;
}

}  // namespace tomograph
