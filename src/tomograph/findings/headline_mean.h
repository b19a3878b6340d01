#pragma once
// A number of each headline layer of the stream, averaged: what several findings are. For use inside
// findings/ only.
#include <optional>
#include <vector>

#include "tomograph/findings/site_rows.h"

namespace tomograph {

class HeadlineMean {
  public:
    struct Layer {
        double value = kNoNumber, null = kNoNumber;
        std::vector<double> replicates;
    };

    explicit HeadlineMean(const Subject& subject) : subject_(subject), layers_(subject.sites.size()) {}
    /// The place of a site's numbers.
    Layer& at(const SiteRows& rows) { return layers_[rows.index()]; }
    /// Their mean, with interval and one control; `detail` gets the layers.
    Effect effect(const char* control) const;

  private:
    const Subject& subject_;
    std::vector<Layer> layers_;
};

/// The chart that such a finding has: `values` of each site by layer, of attention, MLP and stream.
Chart component_chart(const Subject& subject, const std::vector<double>& values, Chart chart,
                      const std::string& y_label);

/// The 95 % interval from replicates' percentiles; nothing below kFewestGroups.
std::optional<Interval> percentile_interval(const Subject& subject, const std::vector<double>& replicates);

}  // namespace tomograph
