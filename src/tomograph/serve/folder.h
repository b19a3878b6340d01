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

/// The same of what a run says of itself. "" where there is no run.
std::string run_version(const std::filesystem::path& folder);

/// Which capture a run comes from: the same while it grows and once it is whole, another when it was captured
/// anew.
std::string capture_version(const std::filesystem::path& folder);

/// A run whose author may be anybody. Errors: as Run::open(), and Error when something in the folder is
/// neither file nor folder (a pipe would be waited for), or its description is a link that leads out of it.
std::shared_ptr<const Run> open_run(const std::filesystem::path& folder);

}  // namespace tomograph
