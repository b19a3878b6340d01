#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/base/json.h"

namespace tomograph {

struct StudyFigure {
    std::string file;  ///< below the study's folder; empty: the caption stands alone
    std::string group, caption;
};

/// study.json as its readers take it. Anybody may have written it: whoever opens what it names goes through
/// contained_file() and contained_folder() (base/contained.h).
struct StudyFile {
    std::string model_name, model_type;
    int n_layers = 0;
    std::int64_t d_model = 0;
    std::vector<std::string> runs;
    std::vector<StudyFigure> figures;
    Json numbers;  ///< an object
    std::vector<std::string> notes;
};

/// Of a study. Errors: Error that names the file, when it is missing or is no study's description.
StudyFile read_study(const std::filesystem::path& folder);

/// The same of a run that belongs to no study: its model, and nothing else. Errors: as Run::open().
StudyFile read_run_as_study(const std::filesystem::path& folder);

}  // namespace tomograph
