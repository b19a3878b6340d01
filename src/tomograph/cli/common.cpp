#include "tomograph/cli/common.h"

#include "tomograph/cli/print.h"
#include "tomograph/store/run.h"

namespace tomograph {

std::filesystem::path run_folder(const std::filesystem::path& path) {
    return folder_kind(path) == FolderKind::study ? path / "text" : path;
}

void print_json(const Json& json) {
    // What without_controls() makes of a character above ASCII is how JSON writes it too.
    std::string text = json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    for (std::size_t at = 0; (at = text.find('\x7f', at)) != std::string::npos;)
        text.replace(at, 1, "\\u007f");
    print_text(stdout, text);
}

}  // namespace tomograph
