#include <algorithm>
#include <map>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/statistics/concentration.h"

namespace tomograph {
namespace {

constexpr int kRotations = 5;

class MassiveCoordinatesOfStream final : public Measurement {
  public:
    explicit MassiveCoordinatesOfStream(Subject& subject)
        : subject_(subject),
          means_(subject),
          by_site_(subject.sites.size(), kNoNumber),
          coordinates_(subject.sites.size()) {}

    void site(SiteRows& rows) override {
        const Matrix first = read_sample(subject_.run, rows.site(), subject_.sample.first_rows);
        const MatrixD squares = squares_by_group(rows.rows(), first);
        const VectorD total = squares.colwise().sum().transpose();
        if (rows.headline() && !rows.constant()) {
            HeadlineMean::Layer& layer = means_.at(rows);
            layer.value = top_share(total);
            if (!subject_.effects_only) add_chance(rows.moments(), first, squares, layer);
        }
        if (subject_.effects_only) return;
        const MassiveCoordinates massive = tomograph::massive_coordinates(total);
        const Moments& moments = rows.moments();
        const VectorD rest =
            moments.comoment.diagonal() + static_cast<double>(moments.count) * moments.mean.cwiseAbs2();
        by_site_[rows.index()] = massive.top_share;
        coordinates_[rows.index()] = massive.coordinates;
        Json& line = rows.line();
        line["massive_coordinates"] = massive.coordinates;
        line["massive_shares"] = numbers(massive.shares);
        line["top_share"] = number(massive.top_share);
        line["top_share_without_first"] = number(top_share(rest));
        line["coordinates_for_half"] = massive.most;
    }

    Effect finish() override {
        Effect effect = means_.effect("rotated basis");
        if (subject_.effects_only) return effect;
        effect.detail["coordinates"] = births();
        effect.charts.push_back(
            component_chart(subject_, by_site_,
                            {.name = "concentration-by-layer",
                             .title = "Massive coordinates",
                             .caption = "Share of the squared norm in the top 1 % of coordinates, by layer."},
                            "share of squared norm"));
        return effect;
    }

  private:
    double n_rest() const { return static_cast<double>(subject_.sample.n_candidates); }

    /// Sums of squares by coordinate over all tokens: first positions in full, the sample standing for the
    /// rest.
    MatrixD squares_by_group(const Matrix& sample, const Matrix& first) const {
        const SampleRows& s = subject_.sample;
        const double weight = sample.rows() > 0 ? n_rest() / static_cast<double>(sample.rows()) : 0;
        MatrixD squares = MatrixD::Zero(std::max(1, s.n_groups), sample.cols());
        for (Eigen::Index i = 0; i < sample.rows(); ++i)
            squares.row(s.group[static_cast<std::size_t>(i)]) +=
                weight * sample.row(i).cast<double>().cwiseAbs2();
        const Run& run = subject_.run;
        for (Eigen::Index i = 0; i < first.rows(); ++i) {
            const auto token = static_cast<std::size_t>(
                run.rows()[static_cast<std::size_t>(s.first_rows[static_cast<std::size_t>(i)])]);
            const std::int32_t group =
                s.group_of_sequence[static_cast<std::size_t>(run.tokens().sequence[token])];
            if (group >= 0) squares.row(group) += first.row(i).cast<double>().cwiseAbs2();
        }
        return squares;
    }

    void add_chance(const Moments& moments, const Matrix& first, const MatrixD& squares,
                    HeadlineMean::Layer& layer) const {
        const std::uint64_t seed = subject_.options.seed;
        const int n_groups = subject_.sample.n_groups;
        const double scale = n_rest() / static_cast<double>(moments.count);
        MatrixD second = scale * moments.comoment + n_rest() * moments.mean * moments.mean.transpose();
        const MatrixD f = first.cast<double>();
        second += f.transpose() * f;
        std::vector<double> rotated;
        for (std::uint64_t i = 0; i < kRotations; ++i)
            rotated.push_back(rotated_top_share(second, mix(seed, i)));
        layer.null = *std::max_element(rotated.begin(), rotated.end());
        for (int r = 0; r < subject_.options.bootstrap; ++r) {
            const auto weights = bootstrap_weights(n_groups, seed, r);
            layer.replicates.push_back(top_share(
                (Eigen::Map<const Eigen::RowVectorXd>(weights.data(), n_groups) * squares).transpose()));
        }
    }

    /// In which layers each massive coordinate of the stream is there.
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

const FindingKind findings::massive_coordinates{
    .name = "massive_coordinates",
    .effect_is = "share of the squared norm in the top 1 % of coordinates, middle layers",
    .controls = "rotated basis",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<MassiveCoordinatesOfStream>(subject);
    }};

}  // namespace tomograph
