#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tomograph/engine/engine.h"
#include "tomograph/intervene/act.h"

namespace tomograph {

/// What acts compare with or take values from: a site's values for every token of some sequences, as they
/// were without any act.
struct SiteValues {
    std::int64_t width = 0;
    std::vector<std::int64_t> first_token;  ///< [n_sequences + 1]
    std::vector<float> values;              ///< [n_tokens, width]

    std::int64_t n_sequences() const { return static_cast<std::int64_t>(first_token.size()) - 1; }
    std::int64_t length(std::int64_t sequence) const;
    const float* at(std::int64_t sequence, std::int64_t position) const;
};

/// A token of the prompts and where it stands.
struct TokenPlace {
    std::int64_t sequence = 0, position = 0, length = 0;
    std::int32_t label = -1;
};

/// Acts, ready to be done to any batch of the prompts. What they need of the undisturbed model is here.
class ActWriter {
  public:
    /// `acts` with their sites as indices into the engine's; `baseline` and `patches` per act, null where it
    /// needs none. `labels` are the prompts'. Errors: Error when a label does not exist, or no token is
    /// chosen.
    ActWriter(std::vector<Act> acts, std::span<const SiteShape> shapes,
              std::vector<std::shared_ptr<const SiteValues>> baseline,
              std::vector<std::shared_ptr<const SiteValues>> patches, const std::vector<Sequence>& sequences,
              const std::vector<std::string>& labels, std::uint64_t seed);

    /// The control: each change is as long as the act's, in a direction drawn by seed.
    void use_random_directions(bool random) { random_ = random; }
    /// For the engine's plan. `places` are of the batch's tokens, and must live as long as the batch.
    std::vector<Write> writes(std::span<const TokenPlace> places) const;
    /// Tokens that any act chooses, over all prompts.
    std::int64_t n_tokens() const { return n_tokens_; }

  private:
    struct Prepared {
        Act act;
        std::size_t site = 0;
        std::vector<std::int64_t> columns;
        std::int32_t label = -1;
        MatrixD basis;                    // orthonormal rows spanning the directions
        VectorD mean;                     // of the columns
        std::vector<std::int64_t> donor;  // resample: per sequence
        std::shared_ptr<const SiteValues> source;
    };
    bool chosen(const Prepared& one, const TokenPlace& place) const;
    void change(std::size_t number, const WriteBatch& batch, std::span<const TokenPlace> places) const;
    /// The new values of the columns, [columns]. False: stays as it is.
    bool target(const Prepared& one, const TokenPlace& place, const VectorD& x, VectorD& y) const;

    std::vector<Prepared> acts_;
    std::uint64_t seed_;
    bool random_ = false;
    std::int64_t n_tokens_ = 0;
};

}  // namespace tomograph
