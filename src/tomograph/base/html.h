#pragma once
#include <string>
#include <string_view>

namespace tomograph {

/// Text as HTML shows it, in an element or in a quoted attribute.
std::string html_escape(std::string_view text);

/// RFC 4648, section 4.
std::string base64(std::string_view bytes);

}  // namespace tomograph
