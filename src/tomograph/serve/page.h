#pragma once
#include <string_view>

namespace tomograph {

/// A file of the built page: "index.html", "viewer.js", "viewer.css" or "viewer.sha256" (of viewer.js,
/// base64).
std::string_view page_file(std::string_view name);

}  // namespace tomograph
