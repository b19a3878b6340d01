#include <algorithm>
#include <map>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/statistics/concentration.h"

namespace tomograph {
namespace {

constexpr int kRotations = 5;

/// A few coordinates that carry much of every ordinary token: the first position and sinks, whose massive
/// activations are another matter, are left out.
class RogueDimensions final : public Measurement {
  public:
    explicit RogueDimensions(Subject& subject)
        : subject_(subject),
          means_(subject),
          by_site_(subject.sites.size(), kNoNumber),
          coordinates_(subject.sites.size()) {}

    void site(SiteRows& rows) override {
        const MatrixD squares = squares_by_group(rows.rows());
        const VectorD total = squares.colwise().sum().transpose();
        if (rows.headline() && !rows.constant()) {
            HeadlineMean::Layer& layer = means_.at(rows);
            layer.value = top_share(total);
            if (!subject_.effects_only) add_chance(rows.moments(), squares, layer);
        }
        if (subject_.effects_only) return;
        const MassiveCoordinates massive = massive_coordinates(total);
        by_site_[rows.index()] = massive.top_share;
        coordinates_[rows.index()] = massive.coordinates;
        Json& line = rows.line();
        line["rogue_coordinates"] = massive.coordinates;
        line["rogue_shares"] = numbers(massive.shares);
        line["top_share"] = number(massive.top_share);
        line["coordinates_for_half"] = massive.most;
    }

    Effect finish() override {
        Effect effect = means_.effect("rotated basis");
        if (subject_.effects_only) return effect;
        effect.detail["coordinates"] = births();
        effect.charts.push_back(
            component_chart(subject_, by_site_,
                            {.name = "concentration-by-layer",
                             .title = "Rogue dimensions",
                             .caption = "Share of the squared norm in the top 1 % of coordinates, by layer; "
                                        "sinks and the first position left out."},
                            "share of squared norm"));
        return effect;
    }

  private:
    MatrixD squares_by_group(const Matrix& rows) const {
        const SampleRows& sample = subject_.sample;
        MatrixD squares = MatrixD::Zero(std::max(1, sample.n_groups), rows.cols());
        for (Eigen::Index i = 0; i < rows.rows(); ++i)
            squares.row(sample.group[static_cast<std::size_t>(i)]) += rows.row(i).cast<double>().cwiseAbs2();
        return squares;
    }

    void add_chance(const Moments& moments, const MatrixD& squares, HeadlineMean::Layer& layer) const {
        const auto n_groups = squares.rows();
        const MatrixD second =
            moments.comoment + static_cast<double>(moments.count) * moments.mean * moments.mean.transpose();
        std::vector<double> rotated;
        for (std::uint64_t i = 0; i < kRotations; ++i)
            rotated.push_back(rotated_top_share(second, mix(subject_.options.seed, i)));
        layer.null = *std::max_element(rotated.begin(), rotated.end());
        layer.left_out = leave_out_groups(subject_, [&](std::span<const double> w) {
            return top_share(
                (Eigen::Map<const Eigen::RowVectorXd>(w.data(), n_groups) * squares).transpose());
        });
    }

    /// In which layers each such coordinate of the stream is there.
    Json births() const {
        std::map<int, std::vector<int>> layers;
        for (std::size_t i = 0; i < coordinates_.size(); ++i) {
            if (!subject_.stream || subject_.sites[i].component != *subject_.stream) continue;
            for (const int coordinate : coordinates_[i])
                layers[coordinate].push_back(subject_.sites[i].layer);
        }
        Json list = Json::array();
        for (const auto& [coordinate, where] : layers)
            list.push_back({{"coordinate", coordinate},
                            {"born", where.front()},
                            {"last", where.back()},
                            {"layers", where.size()}});
        return list;
    }

    Subject& subject_;
    HeadlineMean means_;
    std::vector<double> by_site_;
    std::vector<std::vector<int>> coordinates_;
};

}  // namespace

const FindingKind findings::rogue_dimensions{
    .name = "rogue_dimensions",
    .effect_is = "share of ordinary tokens' squared norm in the top 1 % of coordinates, middle layers",
    .controls = "rotated basis",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<RogueDimensions>(subject);
    },
    .margin = {.width = 0.02},
    .needs_vectors = true};

}  // namespace tomograph
