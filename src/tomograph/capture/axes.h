#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tomograph/capture/capture.h"
#include "tomograph/capture/plan.h"
#include "tomograph/linear/sketch_pca.h"
#include "tomograph/store/basis.h"
#include "tomograph/store/run_writer.h"

namespace tomograph {

/// Axes of each site for options.keep.scores: those of the run options.keep.axes_of where one is named, those
/// that `out` has where it is to be resumed, else fitted to the first batches of the whole capture, whichever
/// part of it this is: parts of one capture have the same axes. The model reads these batches once more for
/// it.
std::shared_ptr<const Basis> find_axes(Engine& engine, const PromptSet& prompts, const CapturePlan& plan,
                                       const std::filesystem::path& out, const CaptureOptions& options,
                                       Progress& progress);

/// Batches that the axes are fitted to: the first ones, whole, until they have enough tokens.
std::size_t fit_batches(const CapturePlan& plan, const CaptureOptions& options);

/// Scores of vectors on their site's axes.
class Scorer {
  public:
    explicit Scorer(std::shared_ptr<const Basis> basis) : basis_(std::move(basis)) {}
    /// Valid until the next call.
    Scored score(std::size_t site, std::int64_t n, const float* values);

  private:
    std::shared_ptr<const Basis> basis_;
    std::vector<float> centered_, scores_, residuals_;
};

}  // namespace tomograph
