#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tomograph/model/graph.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// Collects the stream sites of a layer while a batch runs, and adds them up as soon as all are there: what a
/// block wrote must be the difference between the stream before and after it, at every token.
class SumCheck {
  public:
    /// Relative error, by row, at which a block no longer adds up. One float32 addition errs by 6e-8 of what
    /// is added; a misread site by the size of what it left out.
    static constexpr double kTolerance = 1e-6;

    /// Of a model's sites, in its order, and of what they add up to; compared on fork_join's `threads`.
    SumCheck(const std::vector<SiteShape>& sites, const std::vector<SiteSum>& sums, std::string model,
             int threads = 1);

    std::vector<std::size_t> parts;  ///< indices into the model's sites, of what is added
    std::vector<std::size_t> sums;   ///< and of what it adds up to: resid_mid is both

    /// The values of parts[which] or sums[which] for some tokens, [n_tokens, width].
    /// Errors: Error when a layer does not add up, or holds what is no number: that is the model's own doing.
    void take_part(std::size_t which, std::int64_t first_token, std::int64_t n_tokens, const float* data);
    void take_sum(std::size_t which, std::int64_t first_token, std::int64_t n_tokens, const float* data);

    /// The largest relative error of all that was compared.
    double worst() const { return worst_; }

  private:
    using Values = std::vector<float>;
    /// A part of a sum. Mixed ones have weights, a site of their own.
    struct Term {
        std::size_t site = 0, weights = 0;
        double factor = 1;
        const SiteSum::Mix* mix = nullptr;
    };
    struct Equation {
        const SiteSum* sum;
        std::vector<Term> terms;
        // By site, weights, too; null until they are there. Shared: what was put aside is a part of many.
        std::map<std::size_t, std::shared_ptr<Values>> parts;
        std::size_t n_missing = 0;  // of the parts
        Values total;
        std::size_t site = 0;  // of the sum
    };
    void check(Equation& equation, std::int64_t first_token, std::int64_t n_tokens);
    void compare(const Equation& equation, std::int64_t first_token, std::int64_t n_tokens);
    struct Found;
    Found look(const Equation& equation, std::int64_t begin, std::int64_t end) const;
    Values copy(const float* data, std::int64_t numbers);

    const std::vector<SiteShape>& sites_;
    std::string model_;
    std::vector<Equation> equations_;
    std::vector<Values> spare_;  // memory of equations that were compared, for the next
    int threads_;
    double worst_ = 0;
};

}  // namespace tomograph
