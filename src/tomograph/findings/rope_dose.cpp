#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/findings/list.h"
#include "tomograph/findings/position_numbers.h"
#include "tomograph/findings/rotation.h"
#include "tomograph/statistics/stretch.h"

namespace tomograph {
namespace {

constexpr double kLeastLikeness = 0.3, kLeastContrast = 0.05;
// Of the curves: where means of few sequences are more than noise.
constexpr Eigen::Index kDoseComponents = 4;
constexpr int kDoseReplicates = 100;

/// A run at another speed of rotation.
struct Dose {
    double speed = 0;  ///< times the run's own
    double loss = kNoNumber;
    PositionNumbers numbers;
};

/// Does what positions share stretch along when rotation is made faster or slower? What rotation makes must;
/// what the causal mask makes stays where it is.
class RopeDose final : public Measurement {
  public:
    explicit RopeDose(Subject& subject) : subject_(subject) {}
    Effect finish() override;

  private:
    /// Slope of the logarithm of the curves' stretch on that of the speed. The curves that are compared are
    /// of different halves of the groups, since the same text at the same place would hold them together;
    /// each half is once the reference.
    double slope(std::span<const double> weights, std::vector<Stretch>* stretches = nullptr) const;

    Subject& subject_;
    std::vector<Dose> doses_;
};

double RopeDose::slope(std::span<const double> weights, std::vector<Stretch>* stretches) const {
    const PositionNumbers& own = subject_.positions();
    const VectorD position = thin_curve(own.position, kCurvePoints).col(0);
    const auto leading = [](const MatrixD& curve) {
        return MatrixD(curve.leftCols(std::min(kDoseComponents, curve.cols())));
    };
    const auto compare = [&](const PositionNumbers& other) {
        Stretch mean{0, 0, 0};  // of the factor its logarithm
        for (const std::size_t half : {0, 1}) {
            std::vector<double> mine(weights.begin(), weights.end()), theirs = mine;
            for (std::size_t g = 0; g < mine.size(); ++g) (g % 2 == half ? theirs : mine)[g] = 0;
            const auto sum = [](const std::vector<double>& of) {
                return std::accumulate(of.begin(), of.end(), 0.0);
            };
            if (!(sum(mine) > 0) || !(sum(theirs) > 0)) return Stretch{kNoNumber, kNoNumber, kNoNumber};
            const Stretch one =
                find_stretch(leading(own.curve_under(mine)), leading(other.curve_under(theirs)), position);
            mean.factor += std::log(one.factor) / 2;
            mean.likeness += one.likeness / 2;
            mean.contrast += one.contrast / 2;
        }
        return mean;
    };
    // The run's own halves are a dose of 1, so that what noise makes of every comparison makes no slope.
    std::vector<double> speeds{0}, factors{compare(own).factor};
    for (const Dose& dose : doses_) {
        Stretch one = compare(dose.numbers);
        speeds.push_back(std::log(dose.speed));
        factors.push_back(one.factor);
        one.factor = std::exp(one.factor);
        if (stretches != nullptr) stretches->push_back(one);
    }
    const double speed = mean_of(speeds), factor = mean_of(factors);
    double along = 0, square = 0;
    for (std::size_t i = 0; i < speeds.size(); ++i) {
        along += (speeds[i] - speed) * (factors[i] - factor);
        square += (speeds[i] - speed) * (speeds[i] - speed);
    }
    return along / square;
}

Effect RopeDose::finish() {
    Effect effect;
    effect.controls.push_back({"no stretch", 0});
    const PositionNumbers& own = subject_.positions();
    effect.unmeasurable = own.why_not;
    if (!own.why_not.empty()) return effect;
    for (const Run* run : subject_.options.rope_doses) {
        const Subject subject(*run, subject_.options, true, subject_.progress);
        Dose dose{rope_frequency(*run) / rope_frequency(subject_.run), mean_loss(*run),
                  measure_positions(subject, &own.basis)};
        if (effect.unmeasurable.empty()) effect.unmeasurable = dose.numbers.why_not;
        if (effect.unmeasurable.empty() &&
            (dose.numbers.n_positions != own.n_positions || dose.numbers.n_groups != own.n_groups))
            effect.unmeasurable = run->path().string() + " keeps other positions or sequences";
        doses_.push_back(std::move(dose));
    }
    if (!effect.unmeasurable.empty()) return effect;
    std::ranges::sort(doses_, {}, &Dose::speed);
    const std::vector<double> equal(static_cast<std::size_t>(own.n_groups), 1.0);
    std::vector<Stretch> stretches;
    const double value = slope(equal, &stretches);
    double likeness = 0, contrast = 0;
    std::string losses = fmt::format("1: {:.3f}", mean_loss(subject_.run));
    effect.detail["doses"] = Json::array();
    for (std::size_t i = 0; i < stretches.size(); ++i) {
        effect.detail["doses"].push_back({{"speed", number(doses_[i].speed)},
                                          {"stretch", number(stretches[i].factor)},
                                          {"likeness", number(stretches[i].likeness)},
                                          {"contrast", number(stretches[i].contrast)},
                                          {"shared", number(doses_[i].numbers.mean_shared)},
                                          {"loss", number(doses_[i].loss)}});
        likeness += stretches[i].likeness / static_cast<double>(stretches.size());
        contrast += stretches[i].contrast / static_cast<double>(stretches.size());
        losses += fmt::format(", {:.3g}: {:.3f}", doses_[i].speed, doses_[i].loss);
    }
    effect.detail["shared"] = number(own.mean_shared);
    effect.detail["loss"] = number(mean_loss(subject_.run));
    if (losses.find("nan") == std::string::npos)
        subject_.notes.push_back("rope_dose: loss in nats by the speed of rotation: " + losses);
    if (std::isnan(value)) {
        effect.unmeasurable = "too few positions, or one sequence only";
        return effect;
    }
    if (likeness < kLeastLikeness || contrast < kLeastContrast) {
        effect.unmeasurable = fmt::format(
            "the curves of positions cannot be followed from speed to speed: alike to {:.2f}, and a stretch "
            "changes that by {:.2f}",
            likeness, contrast);
        return effect;
    }
    effect.value = value;
    if (own.n_groups < 2 * kFewestGroups) return effect;
    std::vector<double> replicates;
    for (int r = 0; r < kDoseReplicates; ++r) {
        const double one = slope(bootstrap_weights(own.n_groups, subject_.options.seed, r));
        if (!std::isnan(one)) replicates.push_back(one);
    }
    effect.interval = spread_interval(value, replicates, own.n_groups, -10, 10);
    return effect;
}

}  // namespace

const FindingKind findings::rope_dose{
    .name = "rope_dose",
    .effect_is = "how far what positions share stretches along with the speed of rotation: 1 as far, 0 not",
    .controls = "no stretch",
    .needs = Needs::rope_doses,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<RopeDose>(subject);
    },
    .margin = {.width = 0.1, .no_effect = 0}};

}  // namespace tomograph
