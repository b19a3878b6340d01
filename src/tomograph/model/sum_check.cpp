#include "tomograph/model/sum_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

/// Below this norm a row's own rounding is lost among numbers too small to be exact.
constexpr double kTinyRow = 1e-30;

double norm_of(const float* row, std::int64_t width) {
    double sum = 0;
    for (std::int64_t i = 0; i < width; ++i) sum += static_cast<double>(row[i]) * row[i];
    return std::sqrt(sum);
}

}  // namespace

SumCheck::SumCheck(const std::vector<SiteShape>& sites, const std::vector<SiteSum>& model_sums,
                   std::string model)
    : sites_(sites), model_(std::move(model)) {
    const auto index_of = [&](const Site& site) {
        return static_cast<std::size_t>(
            std::find_if(sites.begin(), sites.end(), [&](const SiteShape& s) { return s.site == site; }) -
            sites.begin());
    };
    for (const SiteSum& sum : model_sums) {
        Equation equation{.sum = &sum, .factors = {}, .parts = {}, .total = {}, .site = index_of(sum.sum)};
        sums.push_back(equation.site);
        for (const SiteSum::Part& part : sum.parts) {
            const std::size_t site = index_of(part.site);
            equation.factors[site] = part.factor * sum.factor;
            if (std::find(parts.begin(), parts.end(), site) == parts.end()) parts.push_back(site);
        }
        equations_.push_back(std::move(equation));
    }
}

void SumCheck::take_part(std::size_t which, std::int64_t first_token, std::int64_t n_tokens,
                         const float* data) {
    const std::size_t site = parts[which];
    for (Equation& equation : equations_) {
        if (!equation.factors.contains(site)) continue;
        equation.parts[site].assign(data, data + n_tokens * sites_[site].width());
        check(equation, first_token, n_tokens);
    }
}

void SumCheck::take_sum(std::size_t which, std::int64_t first_token, std::int64_t n_tokens,
                        const float* data) {
    Equation& equation = equations_[which];
    equation.total.assign(data, data + n_tokens * sites_[equation.site].width());
    check(equation, first_token, n_tokens);
}

void SumCheck::check(Equation& equation, std::int64_t first_token, std::int64_t n_tokens) {
    if (equation.total.empty() || equation.parts.size() < equation.factors.size()) return;
    compare(equation, first_token, n_tokens);
    equation.parts.clear();
    equation.total.clear();
}

void SumCheck::compare(const Equation& equation, std::int64_t first_token, std::int64_t n_tokens) {
    const std::int64_t width = sites_[equation.site].width();
    double worst = 0;
    std::int64_t worst_token = 0;
    for (std::int64_t token = 0; token < n_tokens; ++token) {
        const auto row = [&](const Values& all) { return all.data() + token * width; };
        const auto refuse_unless_finite = [&](double norm, std::size_t site) {
            if (std::isfinite(norm)) return;
            throw Error(fmt::format("{} computes what is no number", model_),
                        fmt::format("{} of token {} is infinite or not a number", sites_[site].site.name(),
                                    first_token + token),
                        "its weights are damaged or too large for the precision that it runs with; try "
                        "--exact, or another file");
        };
        // A sum is rounded by what it is made of, which may be far larger than it.
        double size = kTinyRow;
        for (const auto& [site, values] : equation.parts) {
            const double norm = norm_of(row(values), width);
            refuse_unless_finite(norm, site);
            size = std::max(size, norm * std::abs(equation.factors.at(site)));
        }
        const double norm = norm_of(row(equation.total), width);
        refuse_unless_finite(norm, equation.site);
        size = std::max(size, norm);
        double difference = 0;
        for (std::int64_t i = 0; i < width; ++i) {
            double total = 0;
            for (const auto& [site, values] : equation.parts)
                total += equation.factors.at(site) * row(values)[i];
            difference += (total - row(equation.total)[i]) * (total - row(equation.total)[i]);
        }
        if (const double error = std::sqrt(difference) / size; error > worst) {
            worst = error;
            worst_token = first_token + token;
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
