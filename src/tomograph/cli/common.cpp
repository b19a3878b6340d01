#include "tomograph/cli/common.h"

#include "tomograph/cli/print.h"

namespace tomograph {

void print_json(const Json& json) {
    // What without_controls() makes of a character above ASCII is how JSON writes it too.
    std::string text = json_text(json, 1) + "\n";
    for (std::size_t at = 0; (at = text.find('\x7f', at)) != std::string::npos;)
        text.replace(at, 1, "\\u007f");
    print_text(stdout, text);
}

}  // namespace tomograph
