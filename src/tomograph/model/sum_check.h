#pragma once
#include <map>
#include <string>
#include <vector>

#include "tomograph/words/site.h"

namespace tomograph {

/// Collects the stream sites of a layer while a batch runs, and adds them up as soon as all are there: what a
/// block wrote must be the difference between the stream before and after it.
class SumCheck {
  public:
    /// Of a model's sites, in its order.
    SumCheck(const std::vector<SiteShape>& sites, std::string model);

    std::vector<std::size_t> watched;  ///< indices into the model's sites

    /// The values of watched[which]. Errors: Error when a layer does not add up to a relative 1e-5.
    void take(std::size_t which, const float* data, std::size_t size);

  private:
    using Parts = std::map<Component, std::vector<float>>;
    void check(int layer, const Parts& parts) const;

    std::string model_;
    std::vector<Site> watched_sites_;
    std::map<int, std::size_t> expected_;
    std::map<int, Parts> parts_;
};

}  // namespace tomograph
