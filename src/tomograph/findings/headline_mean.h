#pragma once
// A number of each headline layer of the stream, averaged: what several findings are. For use inside
// findings/ only.
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tomograph/findings/site_rows.h"

namespace tomograph {

class HeadlineMean {
  public:
    struct Layer {
        double value = kNoNumber, null = kNoNumber;
        std::vector<double> left_out;  ///< the value without each group of sequences
    };

    /// Why there is no number, where the stream is there.
    static constexpr const char* kTooFewRows = "the rows of the middle layers are too few, or all equal";

    explicit HeadlineMean(const Subject& subject) : subject_(subject), layers_(subject.sites.size()) {}
    /// The place of a site's numbers.
    Layer& at(const SiteRows& rows) { return layers_[rows.index()]; }
    /// Their mean, with interval and one control; `detail` gets the layers.
    Effect effect(const char* control) const;

  private:
    const Subject& subject_;
    std::vector<Layer> layers_;
};

/// The mean of the layers whose site `counts` and that have a number, with interval and one control; `detail`
/// gets the layers. `none`: why there is no number, where no layer has one.
Effect mean_over_layers(const Subject& subject, std::span<const HeadlineMean::Layer> of_site,
                        const std::function<bool(const Site&)>& counts, const char* none,
                        const char* control);

/// The chart that such a finding has: `values` of each site by layer, of attention, MLP and stream.
Chart component_chart(const Subject& subject, const std::vector<double>& values, Chart chart,
                      const std::string& y_label);

/// `statistic` without each of the sample's groups in turn.
std::vector<double> leave_out_groups(const Subject& subject,
                                     const std::function<double(std::span<const double> weights)>& statistic);
/// The 95 % interval by jackknife; nothing below kFewestGroups.
std::optional<Interval> jackknife_interval(double value, const std::vector<double>& left_out);
/// The same where pairs of groups were left out, too (statistics/inference.h).
std::optional<Interval> jackknife_interval(double value, const std::vector<double>& left_out,
                                           const std::vector<double>& pairs_out);
/// `statistic` without each pair of the sample's groups.
std::vector<double> leave_out_group_pairs(
    const Subject& subject, const std::function<double(std::span<const double> weights)>& statistic);
/// One more point of a line, with its jackknife interval where there is one.
void add_point(ChartLine& line, double layer, double value, const std::vector<double>& left_out);

}  // namespace tomograph
