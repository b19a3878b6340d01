#include "tomograph/model/sum_check.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"

namespace tomograph {
namespace {

/// Below this norm a row's own rounding is lost among numbers too small to be exact.
constexpr double kTinyRow = 1e-30;

}  // namespace

SumCheck::SumCheck(const std::vector<SiteShape>& sites, const std::vector<SiteSum>& model_sums,
                   std::string model, int threads)
    : sites_(sites), model_(std::move(model)), threads_(threads) {
    const auto index_of = [&](const Site& site) {
        return static_cast<std::size_t>(
            std::find_if(sites.begin(), sites.end(), [&](const SiteShape& s) { return s.site == site; }) -
            sites.begin());
    };
    for (const SiteSum& sum : model_sums) {
        Equation equation{.sum = &sum, .terms = {}, .parts = {}, .total = {}, .site = index_of(sum.sum)};
        sums.push_back(equation.site);
        const auto need = [&](const Site& part) {
            const std::size_t site = index_of(part);
            equation.parts[site];
            if (std::find(parts.begin(), parts.end(), site) == parts.end()) parts.push_back(site);
            return site;
        };
        for (const SiteSum::Part& part : sum.parts) {
            Term term{.site = need(part.site), .factor = part.factor * sum.factor};
            if (part.mix) term.mix = &*part.mix, term.weights = need(part.mix->weights);
            equation.terms.push_back(term);
        }
        equation.n_missing = equation.parts.size();
        equations_.push_back(std::move(equation));
    }
}

void SumCheck::take_part(std::size_t which, std::int64_t first_token, std::int64_t n_tokens,
                         const float* data) {
    const std::size_t site = parts[which];
    const auto values = std::make_shared<Values>(copy(data, n_tokens * sites_[site].width()));
    for (Equation& equation : equations_) {
        const auto part = equation.parts.find(site);
        if (part == equation.parts.end()) continue;
        part->second = values;
        --equation.n_missing;
        check(equation, first_token, n_tokens);
    }
}

void SumCheck::take_sum(std::size_t which, std::int64_t first_token, std::int64_t n_tokens,
                        const float* data) {
    Equation& equation = equations_[which];
    equation.total = copy(data, n_tokens * sites_[equation.site].width());
    check(equation, first_token, n_tokens);
}

void SumCheck::check(Equation& equation, std::int64_t first_token, std::int64_t n_tokens) {
    if (equation.total.empty() || equation.n_missing > 0) return;
    compare(equation, first_token, n_tokens);
    for (auto& [site, values] : equation.parts) {
        if (values.use_count() == 1) spare_.push_back(std::move(*values));
        values.reset();
    }
    spare_.push_back(std::exchange(equation.total, {}));
    equation.n_missing = equation.parts.size();
}

/// As what a part of the tokens shows.
struct SumCheck::Found {
    double worst = 0;
    std::int64_t worst_token = 0;
    std::int64_t bad_token = -1;  // the first that is infinite or not a number, and where
    std::size_t bad_site = 0;
};

SumCheck::Values SumCheck::copy(const float* data, std::int64_t numbers) {
    Values values;
    if (!spare_.empty()) {
        values = std::move(spare_.back());
        spare_.pop_back();
    }
    values.assign(data, data + numbers);
    return values;
}

SumCheck::Found SumCheck::look(const Equation& equation, std::int64_t begin, std::int64_t end) const {
    const std::int64_t width = sites_[equation.site].width();
    Found found;
    Eigen::ArrayXd left(width);
    for (std::int64_t token = begin; token < end; ++token) {
        const auto row = [&](const Values& all, std::size_t site) {
            const std::int64_t n = sites_[site].width();
            return Eigen::Map<const Eigen::ArrayXf>(all.data() + token * n, n).cast<double>();
        };
        // A sum is rounded by what it is made of, which may be far larger than it.
        double size = kTinyRow;
        const auto measure = [&](double squares, std::size_t site) {
            const double norm = std::sqrt(squares);
            if (!std::isfinite(norm) && found.bad_token < 0) found.bad_token = token, found.bad_site = site;
            size = std::max(size, norm);
        };
        left.setZero();
        for (const Term& term : equation.terms) {
            const auto part = row(*equation.parts.at(term.site), term.site);
            if (term.mix == nullptr) {
                measure(part.square().sum() * term.factor * term.factor, term.site);
                left += term.factor * part;
                continue;
            }
            const auto [from, to] = std::pair(term.mix->from, term.mix->to);
            const std::int64_t one = width / to;
            const auto weights = row(*equation.parts.at(term.weights), term.weights);
            if (!std::isfinite(part.square().sum())) measure(part.square().sum(), term.site);
            double squares = 0;
            for (std::int64_t f = 0; f < from; ++f) {
                const auto of = part.segment(f * one, one);
                for (std::int64_t t = 0; t < to; ++t) {
                    const double by = term.factor * weights[term.mix->first + f * to + t];
                    squares += by * by * of.square().sum();
                    left.segment(t * one, one) += by * of;
                }
            }
            measure(squares, term.weights);
        }
        const auto total = row(equation.total, equation.site);
        measure(total.square().sum(), equation.site);
        if (found.bad_token >= 0) return found;
        left -= total;
        if (const double error = std::sqrt(left.square().sum()) / size; error > found.worst) {
            found.worst = error;
            found.worst_token = token;
        }
    }
    return found;
}

void SumCheck::compare(const Equation& equation, std::int64_t first_token, std::int64_t n_tokens) {
    std::vector<Found> found(static_cast<std::size_t>(threads_));
    fork_join(threads_, [&](int part, int n_parts) {
        found[static_cast<std::size_t>(part)] =
            look(equation, n_tokens * part / n_parts, n_tokens * (part + 1) / n_parts);
    });
    double worst = 0;
    std::int64_t worst_token = 0;
    for (const Found& part : found) {
        if (part.bad_token >= 0)
            throw Error(fmt::format("{} computes what is no number", model_),
                        fmt::format("{} of token {} is infinite or not a number",
                                    sites_[part.bad_site].site.name(), first_token + part.bad_token),
                        "its weights are damaged or too large for the precision that it runs with; try "
                        "--exact, or another file");
        if (part.worst > worst) {
            worst = part.worst;
            worst_token = first_token + part.worst_token;
        }
    }
    worst_ = std::max(worst_, worst);
    if (worst < kTolerance) return;
    throw Error(
        fmt::format("the residual stream of {} does not add up", model_),
        fmt::format("{}: relative error {:.1e} at token {}", equation.sum->sum.name(), worst, worst_token),
        "this architecture writes to the stream in a way that tomograph cannot name yet");
}

}  // namespace tomograph
