#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "tomograph/store/run.h"

namespace tomograph {

/// 16 hexadecimal digits that tell one text from another.
std::string digest(const std::string& text);

/// What tells a file from all that stood under its name before: another once it was written anew or replaced.
/// "" where there is none.
std::string file_version(const std::filesystem::path& file);

/// A run whose author may be anybody. Errors: as Run::open(), and Error when something in the folder is
/// neither file nor folder (a pipe would be waited for), or run.json is a link that leads out of it.
std::shared_ptr<const Run> open_run(const std::filesystem::path& folder);

}  // namespace tomograph
