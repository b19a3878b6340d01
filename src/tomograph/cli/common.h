#pragma once
#include <filesystem>

#include "tomograph/base/json.h"

namespace tomograph {

/// A study's text run, or the run itself: what a command takes that works on one run.
std::filesystem::path run_folder(const std::filesystem::path& path);

/// To standard output, indented. Bytes that are no UTF-8 are replaced.
void print_json(const Json& json);

}  // namespace tomograph
