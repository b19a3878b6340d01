#include "tomograph/base/contained.h"

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void leads_out(const fs::path& folder, const std::string& name) {
    throw Error("'" + printable(name) + "' is refused", "it leads out of " + folder.string(),
                "name what lies in that folder");
}

/// The place, links resolved. Errors: Error when there is nothing, or when it is not below the folder.
fs::path resolved(const fs::path& folder, const std::string& name) {
    const fs::path given(name);
    const bool climbs = std::any_of(given.begin(), given.end(), [](const fs::path& part) {
        return part == ".." || part == "." || part.empty();
    });
    if (name.empty() || name.find('\0') != std::string::npos || given.is_absolute() || climbs)
        leads_out(folder, name);
    std::error_code error;
    const fs::path root = fs::canonical(folder, error);
    if (error) throw Error("cannot open " + folder.string(), error.message(), "");
    const fs::path place = fs::canonical(folder / given, error);
    if (error) throw Error("cannot open " + (folder / given).string(), error.message(), "");
    const auto [end, at] = std::mismatch(root.begin(), root.end(), place.begin(), place.end());
    if (end != root.end() || at == place.end()) leads_out(folder, name);
    return place;
}

}  // namespace

fs::path contained_file(const fs::path& folder, const std::string& name) {
    fs::path place = resolved(folder, name);
    std::error_code error;
    if (!fs::is_regular_file(place, error))
        throw Error("cannot open " + (folder / name).string(), "it is not a regular file", "");
    return place;
}

fs::path contained_folder(const fs::path& folder, const std::string& name) {
    if (fs::path(name).has_parent_path()) leads_out(folder, name);
    fs::path place = resolved(folder, name);
    std::error_code error;
    if (!fs::is_directory(place, error))
        throw Error("cannot open " + (folder / name).string(), "it is not a folder", "");
    return place;
}

}  // namespace tomograph
