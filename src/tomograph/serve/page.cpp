#include "tomograph/serve/page.h"

#include <span>

namespace tomograph {

std::span<const unsigned char> tomograph_serve_file(std::string_view name);

std::string_view page_file(std::string_view name) {
    const auto bytes = tomograph_serve_file(name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace tomograph
