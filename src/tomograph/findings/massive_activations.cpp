#include <algorithm>
#include <cmath>
#include <map>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/site_rows.h"
#include "tomograph/statistics/median_interval.h"

namespace tomograph {
namespace {

constexpr double kMassive = 1000;            // times the median: what Sun et al. call massive
constexpr double kNormalMedian = 0.6744898;  // of the size of a standard normal number
constexpr std::int64_t kMedianRows = 500;
constexpr std::size_t kListedMassive = 20;

/// A token by its largest coordinate.
struct Activation {
    std::int64_t row = 0;  ///< stored
    Eigen::Index coordinate = 0;
    double ratio = 0;  ///< its size over the site's median
};

/// Single coordinates of single tokens, most often the first, that are of another order than all others. All
/// tokens count here, sinks and the first position above all.
class MassiveActivations final : public Measurement {
  public:
    explicit MassiveActivations(Subject& subject) : subject_(subject), by_site_(subject.sites.size()) {
        special_ = subject.sample.first_rows;
        std::map<std::int64_t, std::int64_t> row_of;
        for (std::int64_t row = 0; row < subject.run.n_rows(); ++row)
            row_of[subject.run.rows()[static_cast<std::size_t>(row)]] = row;
        for (const Sink& sink : subject.census.sinks) {
            const auto found = row_of.find(sink.token);
            if (found != row_of.end() && std::ranges::find(special_, found->second) == special_.end())
                special_.push_back(found->second);
        }
        std::ranges::sort(special_);
    }

    void site(SiteRows& rows) override {
        if (!of_stream(rows.site()) || rows.constant()) return;
        BySite& found = by_site_[rows.index()];
        const Eigen::Index d = rows.rows().cols();
        const double ordinary = median_size(rows.rows());
        if (!(ordinary > 0)) return;
        std::vector<double> norms;
        for (Eigen::Index i = 0; i < rows.rows().rows(); ++i)
            norms.push_back(rows.rows().row(i).cast<double>().norm());
        // In a basis turned at random the median coordinate has this size.
        const double turned_middle = kNormalMedian * median(norms) / std::sqrt(static_cast<double>(d));
        const auto n_groups = static_cast<std::size_t>(std::max(1, subject_.sample.n_groups));
        found.largest.assign(n_groups, 0.0);
        found.turned.assign(n_groups, 0.0);
        Rng rng(mix(subject_.options.seed, 0x3a55, rows.index()));
        const auto add = [&](std::int64_t row, const auto& values, bool special) {
            const std::int32_t g = group_of(row);
            const auto values_d = values.template cast<double>();
            if (g < 0 || !values_d.allFinite()) return;
            Activation activation{row, 0, 0};
            activation.ratio = values_d.cwiseAbs().maxCoeff(&activation.coordinate) / ordinary;
            auto& largest = found.largest[static_cast<std::size_t>(g)];
            largest = std::max(largest, activation.ratio);
            if (special || activation.ratio >= kMassive) found.activations.push_back(activation);
            if (subject_.effects_only) return;
            // The largest coordinate of the same vector, once turned: its length times that of a unit vector.
            double most = 0, squares = 0;
            for (Eigen::Index c = 0; c < d; ++c) {
                const double value = rng.normal();
                most = std::max(most, std::abs(value));
                squares += value * value;
            }
            auto& turned = found.turned[static_cast<std::size_t>(g)];
            turned = std::max(turned, values_d.norm() * most / std::sqrt(squares) / turned_middle);
        };
        for (Eigen::Index i = 0; i < rows.rows().rows(); ++i)
            add(subject_.sample.rows[static_cast<std::size_t>(i)], rows.rows().row(i), false);
        const Matrix special = read_sample(subject_.run, rows.site(), special_);
        for (Eigen::Index i = 0; i < special.rows(); ++i)
            add(special_[static_cast<std::size_t>(i)], special.row(i), true);
        std::ranges::stable_sort(found.activations,
                                 [](const auto& a, const auto& b) { return a.ratio > b.ratio; });
        if (subject_.effects_only) return;
        rows.line()["largest_over_median"] = number(middle(found.largest));
        rows.line()["massive_activations"] =
            std::ranges::count_if(found.activations, [](const auto& a) { return a.ratio >= kMassive; });
    }

    Effect finish() override {
        Effect effect;
        if (effect.unmeasurable = subject_.lacks_stream(); !effect.unmeasurable.empty()) return effect;
        const BySite* best = nullptr;
        double turned = 0;  // the strongest as well, so that choosing a layer favours neither
        for (std::size_t i = 0; i < by_site_.size(); ++i) {
            const BySite& site = by_site_[i];
            if (!subject_.headline(subject_.sites[i]) || site.largest.empty()) continue;
            if (!subject_.effects_only) turned = std::max(turned, highest_middle(site.turned));
            if (best == nullptr || middle(site.largest) > middle(best->largest)) best = &site;
        }
        if (best == nullptr) {
            effect.unmeasurable = HeadlineMean::kTooFewRows;
            return effect;
        }
        effect.value = middle(best->largest);
        effect.detail["site"] = subject_.sites[static_cast<std::size_t>(best - by_site_.data())].name();
        if (subject_.effects_only) return effect;
        effect.interval = median_interval(of_sequences(best->largest));
        effect.controls.push_back({"rotated basis", turned});
        effect.detail["strongest"] = strongest(*best);
        effect.detail["massive"] = {{"ratio", kMassive}, {"coordinates", births()}};
        effect.charts.push_back(chart());
        return effect;
    }

  private:
    struct BySite {
        std::vector<double> largest, turned;  ///< [groups] of its tokens
        std::vector<Activation>
            activations;  ///< of the first position, sinks and massive ones, largest first
    };

    bool of_stream(const Site& site) const { return subject_.stream && site.component == *subject_.stream; }

    std::int32_t group_of(std::int64_t row) const {
        const auto token = static_cast<std::size_t>(subject_.run.rows()[static_cast<std::size_t>(row)]);
        return subject_.sample
            .group_of_sequence[static_cast<std::size_t>(subject_.run.tokens().sequence[token])];
    }

    static double median_size(const Matrix& rows) {
        std::vector<double> sizes;
        for (const std::int64_t i : sample_indices(rows.rows(), kMedianRows, 0x3ed)) {
            for (const float value : rows.row(i)) sizes.push_back(std::abs(static_cast<double>(value)));
        }
        return median(std::move(sizes));
    }

    /// Of those that have rows. A median, since one sequence with an odd token must not decide.
    static std::vector<double> of_sequences(const std::vector<double>& by_group) {
        std::vector<double> ratios;
        for (const double ratio : by_group) {
            if (ratio > 0) ratios.push_back(ratio);  // 0: no row of it was drawn
        }
        return ratios;
    }
    static double middle(const std::vector<double>& by_group) { return median(of_sequences(by_group)); }
    /// The upper end of the median's 95 % interval, since a draw decides what a turned basis shows.
    static double highest_middle(const std::vector<double>& by_group) {
        const auto interval = median_interval(of_sequences(by_group));
        return interval ? interval->hi : middle(by_group);
    }

    Json strongest(const BySite& site) const {
        const Run& run = subject_.run;
        Json list = Json::array();
        for (const Activation& activation : site.activations) {
            if (list.size() == kListedMassive) break;
            const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(activation.row)]);
            list.push_back({{"sequence", run.tokens().sequence[token]},
                            {"position", run.tokens().position[token]},
                            {"coordinate", activation.coordinate},
                            {"ratio", number(activation.ratio)}});
        }
        return list;
    }

    /// In which layers of the stream, and in how many tokens at most, each coordinate is massive.
    Json births() const {
        struct Life {
            int born = 0, last = 0;
            std::size_t layers = 0;
            std::int64_t tokens = 0, at_first = 0;
        };
        std::map<Eigen::Index, Life> lives;
        for (std::size_t i = 0; i < by_site_.size(); ++i) {
            std::map<Eigen::Index, std::pair<std::int64_t, std::int64_t>> here;
            for (const Activation& activation : by_site_[i].activations) {
                if (activation.ratio < kMassive) continue;
                const auto token =
                    static_cast<std::size_t>(subject_.run.rows()[static_cast<std::size_t>(activation.row)]);
                ++here[activation.coordinate].first;
                here[activation.coordinate].second += subject_.run.tokens().position[token] == 0;
            }
            for (const auto& [coordinate, count] : here) {
                Life& life = lives[coordinate];
                const int layer = subject_.sites[i].layer;
                if (life.layers++ == 0) life.born = layer;
                life.last = layer;
                if (count.first > life.tokens) {
                    life.tokens = count.first;
                    life.at_first = count.second;
                }
            }
        }
        Json list = Json::array();
        for (const auto& [coordinate, life] : lives)
            list.push_back({{"coordinate", coordinate},
                            {"born", life.born},
                            {"last", life.last},
                            {"layers", life.layers},
                            {"tokens", life.tokens},
                            {"at_first_position", life.at_first}});
        return list;
    }

    Chart chart() const {
        ChartLine largest{.name = "largest coordinate"}, turned{.name = "rotated basis", .control = true};
        for (std::size_t i = 0; i < by_site_.size(); ++i) {
            if (by_site_[i].largest.empty()) continue;
            largest.layer.push_back(subject_.sites[i].layer);
            largest.value.push_back(middle(by_site_[i].largest));
            turned.value.push_back(middle(by_site_[i].turned));
        }
        turned.layer = largest.layer;
        return {.name = "massive-activations-by-layer",
                .title = "The largest coordinate of any token",
                .subtitle = std::string(component_name(*subject_.stream)),
                .caption =
                    "Largest coordinate of a sequence's tokens over the median coordinate of ordinary "
                    "tokens, median over sequences, by layer; beside it the same vectors in a "
                    "basis turned at random.",
                .shape = LayerChart{.y_label = "times the median",
                                    .lines = {std::move(largest), std::move(turned)},
                                    .log_y = true,
                                    .drawn_controls = {"rotated basis"}}};
    }

    Subject& subject_;
    std::vector<std::int64_t> special_;  // stored rows at the first position, and sinks
    std::vector<BySite> by_site_;
};

}  // namespace

const FindingKind findings::massive_activations{
    .name = "massive_activations",
    .effect_is = "largest coordinate of a sequence's tokens over the median one, strongest middle layer",
    .controls = "rotated basis",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<MassiveActivations>(subject);
    },
    .margin = {.width = 0.1, .no_effect = 1},
    .needs_vectors = true};

}  // namespace tomograph
