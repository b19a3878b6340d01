#include "tomograph/store/site_moments.h"

#include <cstring>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

std::int64_t packed(std::int64_t q) {
    return q * (q + 1) / 2;
}

}  // namespace

void SiteMoments::merge(const SiteMoments& other) {
    if (other.count == 0) return;
    if (count == 0) {
        *this = other;
        return;
    }
    const auto a = static_cast<double>(count), b = static_cast<double>(other.count);
    const double weight = a * b / (a + b);
    const VectorD delta = other.mean - mean;
    squares += other.squares + weight * delta.cwiseAbs2();
    mean += delta * (b / (a + b));
    comoment += other.comoment;
    if (score_mean.size() > 0) {
        const VectorD apart = other.score_mean - score_mean;
        comoment.noalias() += (weight * apart) * apart.transpose();
        score_mean += apart * (b / (a + b));
    } else {
        comoment.noalias() += (weight * delta) * delta.transpose();
    }
    count += other.count;
}

std::vector<TensorSpec> moments_specs(const std::string& site, std::int64_t width, std::int64_t rank) {
    std::vector<TensorSpec> specs{{"count/" + site, Dtype::i32, {1}},
                                  {"mean/" + site, Dtype::f64, {width}},
                                  {"squares/" + site, Dtype::f64, {width}},
                                  {"comoment/" + site, Dtype::f64, {packed(rank > 0 ? rank : width)}}};
    if (rank > 0) specs.push_back({"score_mean/" + site, Dtype::f64, {rank}});
    return specs;
}

std::int64_t moments_bytes(std::int64_t width, std::int64_t rank) {
    std::uint64_t bytes = 0;
    for (const TensorSpec& spec : moments_specs("", width, rank)) bytes += spec.n_bytes();
    return static_cast<std::int64_t>(bytes);
}

void write_moments(SafetensorsWriter& file, std::size_t first, const SiteMoments& moments) {
    const auto count = static_cast<std::int32_t>(moments.count);
    const auto write = [&](std::size_t tensor, const VectorD& values) {
        file.write(first + tensor, 0, values.data(),
                   static_cast<std::size_t>(values.size()) * sizeof(double));
    };
    file.write(first, 0, &count, sizeof count);
    write(1, moments.mean);
    write(2, moments.squares);
    const Eigen::Index q = moments.comoment.rows();
    VectorD triangle(packed(q));
    for (Eigen::Index i = 0; i < q; ++i)
        triangle.segment(packed(i), i + 1) = moments.comoment.row(i).head(i + 1);
    write(3, triangle);
    if (moments.score_mean.size() > 0) write(4, moments.score_mean);
}

SiteMoments read_moments(const Safetensors& file, const SiteShape& site, std::int64_t rank) {
    const std::string name = site.site.name();
    const auto read = [&](const std::string& what, std::int64_t n) {
        const auto found = file.others().find(what + "/" + name);
        const auto bytes = static_cast<std::size_t>(n) * sizeof(double);
        if (found == file.others().end() || found->second.dtype != dtype_name(Dtype::f64) ||
            found->second.bytes.size() != bytes)
            throw Error(file.path().string() + " does not fit its run", "it holds no moments of " + name,
                        "capture it again");
        VectorD values(n);
        if (bytes > 0) std::memcpy(values.data(), found->second.bytes.data(), bytes);
        return values;
    };
    const std::int64_t width = site.width(), q = rank > 0 ? rank : width;
    SiteMoments moments;
    const auto count = file.integers("count/" + name);
    moments.count = count.empty() ? 0 : count[0];
    moments.mean = read("mean", width);
    moments.squares = read("squares", width);
    if (rank > 0) moments.score_mean = read("score_mean", rank);
    const VectorD triangle = read("comoment", packed(q));
    moments.comoment.resize(q, q);
    for (Eigen::Index i = 0; i < q; ++i) {
        moments.comoment.row(i).head(i + 1) = triangle.segment(packed(i), i + 1).transpose();
        moments.comoment.col(i).head(i + 1) = triangle.segment(packed(i), i + 1);
    }
    return moments;
}

}  // namespace tomograph
