#pragma once
// Whether a run is of a model, and its last layer's vectors give the model's answers. For use inside lens/.
#include "tomograph/findings/lens_table.h"
#include "tomograph/lens/head.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// The stream after the last block. Errors: Error where the run is of another model, or lacks its vectors.
Site last_site(const LanguageModel& model, const Run& run);

/// Read the first batch of the run's sequences once more, as it was captured, and compare the model's own
/// answers with what its head makes of the stored vectors of the last layer. A run whose model was changed
/// while it read is not checked. Errors: Error where they differ by more than what the vectors were rounded
/// to explains; Stopped.
LensCheck check_last_layer(const LanguageModel& model, const Run& run, const Site& last, ModelHead& head,
                           int threads, Progress& progress);

}  // namespace tomograph
