#pragma once
#include <span>
#include <string_view>

namespace tomograph {

/// A file of the built page: "index.html", "viewer.js", "viewer.css" or "viewer.sha256" (of viewer.js,
/// base64). Empty when the program was built without the viewer.
std::string_view page_file(std::string_view name);
bool has_page();

}  // namespace tomograph
