#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/engine/engine.h"
#include "tomograph/engine/model_info.h"
#include "tomograph/engine/vocabulary.h"

namespace tomograph {

/// Reads one sequence on and on, and says what it expects next. No site is shown: what a model does while it
/// speaks is read in one pass afterwards.
class Continuation {
  public:
    virtual ~Continuation() = default;
    /// Forget what was read. `source`: what a decoder beside an encoder attends to from here on; it has one,
    /// and other models have none. Errors: Error where that is not so, or for more than max_length.
    virtual void restart(std::span<const std::int32_t> source = {}) = 0;
    /// The logits after the last of `tokens`, [n_vocab], which hold until the next call. Errors: Stopped;
    /// Error for no token, one that the model has not, or more than max_length since the last restart.
    virtual std::span<const float> read(std::span<const std::int32_t> tokens) = 0;
};

/// An open model, whatever runs it. Several engines may share one; it outlives them.
class LanguageModel {
  public:
    virtual ~LanguageModel() = default;

    virtual const ModelInfo& info() const = 0;
    virtual const Vocabulary& vocabulary() const = 0;
    /// Rows of the token embedding table, dequantised, [ids.size(), d_model]. Errors: id out of range.
    virtual Matrix token_embeddings(const std::vector<std::int32_t>& ids) const = 0;
    /// Mean of the whole token embedding table, [d_model].
    virtual Vector mean_token_embedding() const = 0;
    /// XXH3 of the weights' bytes, 128 bits in hexadecimal: what `xxhsum -H2 FILE` prints; of a model in
    /// several files, that of their checksums, laid end to end. Reads all of them, the
    /// first time.
    virtual std::string checksum() const = 0;
    /// What runs the model, and what its numbers may depend on: name, version, commit, the processor's
    /// instructions in use.
    virtual Json backend() const = 0;
    /// Errors: Error when max_length exceeds a learned position table, when rope_off or another
    /// rope_frequency is asked of a model that does not rotate or that would rotate as ever (sliding
    /// windows), or when its sites cannot be found.
    virtual std::unique_ptr<Engine> make_engine(const EngineOptions& options) const = 0;
    /// Errors: as make_engine, but for the sites, which it does not look for.
    virtual std::unique_ptr<Continuation> make_continuation(const EngineOptions& options) const = 0;

  protected:
    LanguageModel() = default;
    LanguageModel(LanguageModel&&) = default;
    LanguageModel& operator=(LanguageModel&&) = default;
};

}  // namespace tomograph
