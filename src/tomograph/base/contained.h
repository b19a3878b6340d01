#pragma once
#include <filesystem>
#include <string>

namespace tomograph {

/// The regular file that `name` names inside `folder`, links resolved. For names that come from a request or
/// from a JSON file, whose author may be anybody: what they name must not leave the folder, and opening it
/// must not wait. Errors: Error when the name is empty, absolute or climbs, when a link leads out of the
/// folder, when nothing is there, or something that is not a regular file (a pipe, a device, a folder).
std::filesystem::path contained_file(const std::filesystem::path& folder, const std::string& name);

/// The same of a folder directly inside `folder`. Errors: also when the name has more than one part.
std::filesystem::path contained_folder(const std::filesystem::path& folder, const std::string& name);

}  // namespace tomograph
