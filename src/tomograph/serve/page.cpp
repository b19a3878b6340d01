#include "tomograph/serve/page.h"

namespace tomograph {

#ifdef TOMOGRAPH_VIEWER
std::span<const unsigned char> tomograph_serve_file(std::string_view name);

std::string_view page_file(std::string_view name) {
    const auto bytes = tomograph_serve_file(name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
bool has_page() {
    return true;
}
#else
std::string_view page_file(std::string_view) {
    return {};
}
bool has_page() {
    return false;
}
#endif

}  // namespace tomograph
