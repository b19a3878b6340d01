#pragma once
#include <filesystem>

#include "tomograph/base/json.h"
#include "tomograph/study/study.h"

namespace tomograph {

/// One page that opens from disk: the numbers and every figure, embedded, with its caption.
void write_report(const std::filesystem::path& study, const Json& description, const StudySummary& summary);

}  // namespace tomograph
