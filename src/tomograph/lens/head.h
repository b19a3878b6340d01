#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "tomograph/base/matrix.h"
#include "tomograph/base/progress.h"
#include "tomograph/engine/language_model.h"

namespace tomograph {

/// The end of a model by itself: its last norm and its product with the vocabulary, with every scale, bias
/// and cap that the architecture has there, since the model's own graph computes them. Vectors take the place
/// of what stands before the last norm, or after it.
class ModelHead {
  public:
    /// `model` must outlive it. Errors: Error where the model has no such places, or where they cannot be
    /// given other values.
    ModelHead(const LanguageModel& model, int threads, Progress& progress);

    /// Most rows of one call below.
    std::int64_t most_rows() const { return most_rows_; }
    std::int64_t n_vocab() const { return n_vocab_; }

    /// How wide the stream after the last block is: d_model, or several times that.
    std::int64_t stream_width() const { return engine_->sites()[stream_].width(); }

    /// Logits [n, n_vocab] of vectors [n, stream_width] in place of the stream after the last block. Errors:
    /// Stopped.
    Matrix from_stream(const Matrix& rows);
    /// Logits [n, n_vocab] of vectors [n, d_model] in place of what the last norm gives.
    Matrix from_normed(const Matrix& rows);
    /// What the last norm makes of the stream, [n, d_model]; any number of rows.
    Matrix norm(const Matrix& rows);

  private:
    Matrix logits(std::size_t site, const Matrix& rows);

    std::unique_ptr<Engine> engine_;
    std::int64_t most_rows_ = 0, n_vocab_ = 0;
    std::size_t stream_ = 0, normed_ = 0;  // indices into engine_->sites()
};

}  // namespace tomograph
