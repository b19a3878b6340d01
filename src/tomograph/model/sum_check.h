#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tomograph/words/site.h"

namespace tomograph {

/// Collects the stream sites of a layer while a batch runs, and adds them up as soon as all are there: what a
/// block wrote must be the difference between the stream before and after it, at every token.
class SumCheck {
  public:
    /// Relative error, by row, at which a block no longer adds up. One float32 addition errs by 6e-8 of what
    /// is added; a misread site by the size of what it left out.
    static constexpr double kTolerance = 1e-6;

    /// Of a model's sites, in its order.
    SumCheck(const std::vector<SiteShape>& sites, std::string model);

    std::vector<std::size_t> parts;  ///< indices into the model's sites, of what is added
    std::vector<std::size_t> sums;   ///< and of what it adds up to: resid_mid is both

    /// The values of parts[which] or sums[which] for some tokens, [n_tokens, width].
    /// Errors: Error when a layer does not add up, or holds what is no number: that is the model's own doing.
    void take_part(std::size_t which, std::int64_t first_token, std::int64_t n_tokens, const float* data);
    void take_sum(std::size_t which, std::int64_t first_token, std::int64_t n_tokens, const float* data);

  private:
    using Values = std::vector<float>;
    struct Layer {
        std::map<Component, Values> parts, sums;
        std::size_t expected = 0;
    };
    void check(int layer, std::int64_t first_token, std::int64_t n_tokens);
    void compare(int layer, const std::vector<Component>& added, Component sum, std::int64_t first_token,
                 std::int64_t n_tokens) const;
    void take(std::size_t site, std::map<Component, Values>& values, std::int64_t first_token,
              std::int64_t n_tokens, const float* data);

    const std::vector<SiteShape>& sites_;
    std::string model_;
    std::map<int, Layer> layers_;
};

}  // namespace tomograph
