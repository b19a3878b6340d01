#include "tomograph/model/sum_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

/// || parts added - sum || / || sum ||, in float64.
double sum_error(const std::vector<const std::vector<float>*>& parts, const std::vector<float>& sum) {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < sum.size(); ++i) {
        double added = 0;
        for (const auto* part : parts) added += (*part)[i];
        difference += (added - sum[i]) * (added - sum[i]);
        norm += static_cast<double>(sum[i]) * sum[i];
    }
    return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

}  // namespace

SumCheck::SumCheck(const std::vector<SiteShape>& sites, std::string model) : model_(std::move(model)) {
    for (std::size_t i = 0; i < sites.size(); ++i) {
        const Site& site = sites[i].site;
        switch (site.component) {
            case Component::resid_pre:
            case Component::attn_out:
            case Component::resid_mid:
            case Component::mlp_out:
            case Component::resid_post:
                watched.push_back(i);
                watched_sites_.push_back(site);
                ++expected_[site.layer];
                break;
            default:
                break;
        }
    }
}

void SumCheck::take(std::size_t which, const float* data, std::size_t size) {
    const Site& site = watched_sites_[which];
    auto& parts = parts_[site.layer];
    parts[site.component].assign(data, data + size);
    if (parts.size() < expected_[site.layer]) return;
    check(site.layer, parts);
    parts_.erase(site.layer);
}

void SumCheck::check(int layer, const Parts& parts) const {
    // A float32 addition errs by 6e-8; a misread site by the size of what it left out.
    constexpr double kTolerance = 1e-5;
    const bool sequential = parts.contains(Component::resid_mid);
    std::vector<const std::vector<float>*> added{&parts.at(Component::resid_pre)};
    double error = 0;
    if (parts.contains(Component::attn_out)) added.push_back(&parts.at(Component::attn_out));
    if (sequential) {
        error = sum_error(added, parts.at(Component::resid_mid));
        added = {&parts.at(Component::resid_mid)};
    }
    if (parts.contains(Component::mlp_out)) added.push_back(&parts.at(Component::mlp_out));
    error = std::max(error, sum_error(added, parts.at(Component::resid_post)));
    if (error < kTolerance) return;
    throw Error(fmt::format("the residual stream of {} does not add up", model_),
                fmt::format("layer {}: relative error {:.1e}", layer, error),
                "this architecture writes to the stream in a way that tomograph cannot name yet");
}

}  // namespace tomograph
