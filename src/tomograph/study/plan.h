#pragma once
#include <optional>
#include <string>
#include <vector>

#include "tomograph/capture/capture.h"
#include "tomograph/lens/lens.h"
#include "tomograph/model/model.h"
#include "tomograph/model/randomize.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/study/study.h"

namespace tomograph {

/// One capture of a study.
struct PlannedRun {
    std::string name;  ///< of its folder: "text", "twin-1"
    PromptSet prompts;
    CaptureOptions capturing;
    std::optional<RandomizeOptions> twin = {};  ///< read by a model with such weights
    std::optional<LensOptions> lens = {};       ///< what its stream would answer is asked, too
    bool let_go = false;  ///< of a twin's vectors, once it is measured (let_go_of_vectors())
    std::int64_t n_tokens = 0;
    std::int64_t bytes = 0;  ///< that it will take on the disk, about (capture/budget.h); without what goes
};

/// Everything that a study reads, known before the model runs.
struct StudyPlan {
    std::vector<PlannedRun> runs;  ///< in order; the first is the text's
    /// What the user should know before it begins: what the text lacks, which verdicts cannot be had.
    std::vector<std::string> notes;

    std::int64_t n_tokens() const;
    std::int64_t bytes() const;
};

/// Errors: as text_prompts() and make_engine().
StudyPlan plan_study(const Model& model, const StudyOptions& options, Progress& progress);

/// Tokens that the model reads in a second with everything kept in memory and nothing written: the beginning
/// of the text, once. Errors: Stopped.
double measure_rate(const Model& model, const StudyPlan& plan, const StudyOptions& options,
                    Progress& progress);

}  // namespace tomograph
