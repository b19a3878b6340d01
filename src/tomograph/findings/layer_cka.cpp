#include <numeric>

#include "tomograph/base/random.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/stream_stack.h"
#include "tomograph/statistics/cka.h"

namespace tomograph {
namespace {

constexpr std::uint64_t kCkaOrders = 1000;
constexpr std::size_t kFewestLayers = 5;  // 4 layers have 12 orders, the true one among them: no 2.5 % tail

double neighbor_excess(const MatrixD& cka, const std::vector<std::int64_t>& order) {
    const auto n = static_cast<std::size_t>(cka.rows());
    double near = 0, all = 0;
    for (std::size_t i = 0; i + 1 < n; ++i) near += cka(order[i], order[i + 1]);
    for (Eigen::Index i = 0; i < cka.rows(); ++i) {
        for (Eigen::Index j = i + 1; j < cka.rows(); ++j) all += cka(i, j);
    }
    return near / static_cast<double>(n - 1) - all / (0.5 * static_cast<double>(n * (n - 1)));
}

class LayerCka final : public Measurement {
  public:
    explicit LayerCka(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        const StreamStack& stack = subject_.stack();
        effect.unmeasurable = stack.why_not;
        if (!effect.unmeasurable.empty()) return effect;
        const CkaTable table(stack.layers, stack.group, subject_.sample.n_groups, subject_.threads);
        const MatrixD cka = table.cka();
        std::vector<std::int64_t> given(static_cast<std::size_t>(cka.rows()));
        std::iota(given.begin(), given.end(), 0);
        if (cka.allFinite())
            effect.value = neighbor_excess(cka, given);
        else
            effect.unmeasurable = "a layer is constant";
        if (given.size() < kFewestLayers)
            effect.unmeasurable = "so few layers have too few orders for a null: 5 are needed";
        if (subject_.effects_only) return effect;
        add_table(stack, cka);
        if (cka.allFinite()) effect.charts.push_back(chart(stack, cka));
        if (!effect.unmeasurable.empty()) return effect;
        effect.interval = tomograph::bootstrap(
            subject_.sample.n_groups, subject_.bootstrap(),
            [&](std::span<const double> w) { return neighbor_excess(table.cka(w), given); });
        std::vector<double> orders;
        for (std::uint64_t s = 0; s < kCkaOrders; ++s)
            orders.push_back(
                neighbor_excess(cka, permutation(cka.rows(), mix(subject_.options.seed, 0xcca, s))));
        effect.controls.push_back({"layer order shuffled", quantile(orders, 0.975)});
        double near = 0;
        for (Eigen::Index i = 0; i + 1 < cka.rows(); ++i)
            near += cka(i, i + 1) / static_cast<double>(cka.rows() - 1);
        effect.detail["neighbors"] = number(near);
        return effect;
    }

  private:
    void add_table(const StreamStack& stack, const MatrixD& cka) const {
        Json matrix = Json::array();
        for (Eigen::Index i = 0; i < cka.rows(); ++i) {
            matrix.push_back(Json::array());
            for (Eigen::Index j = 0; j < cka.cols(); ++j) matrix.back().push_back(number(cka(i, j)));
        }
        subject_.tables["cka"] = {{"component", component_name(*subject_.stream)},
                                  {"rows", stack.group.size()},
                                  {"layers", stack.layer_numbers()},
                                  {"cka", matrix}};
    }

    Chart chart(const StreamStack& stack, const MatrixD& cka) const {
        return {.name = "layer-cka",
                .title = "How alike layers are",
                .subtitle = std::string(component_name(*subject_.stream)),
                .caption = "Linear CKA between all pairs of layers; 1: equal up to rotation and scale.",
                .shape = PairsChart{cka, stack.sites.front().layer, "linear CKA"}};
    }

    Subject& subject_;
};

}  // namespace

const FindingKind findings::layer_cka{.name = "layer_cka",
                                      .effect_is = "CKA of neighbouring layers, less that of all pairs",
                                      .controls = "layer order shuffled",
                                      .twin_counts = true,
                                      .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
                                          return std::make_unique<LayerCka>(subject);
                                      },
                                      .margin = {.width = 0.02, .no_effect = 0}};

}  // namespace tomograph
