#pragma once
// Who is answered, and what requests may hold. For use inside serve/ only.
#include <httplib.h>

#include <string>

#include "tomograph/serve/server.h"

namespace tomograph {

inline constexpr std::size_t kLargestBody = 64 * 1024;
/// A bit a point: of 32 million points.
inline constexpr std::size_t kLargestSelection = 4 * 1024 * 1024;

/// Answers with this status and line.
struct Refusal {
    int status;
    std::string line;
};

/// What a status says by itself.
const char* line_of(int status);

bool is_loopback(const std::string& host);
std::string make_token();

/// What stands before every path: with a token that is shown in frames "/TOKEN", else nothing. A frame within
/// another site's page is sent no cookie, so that the address itself must carry the token; what the page asks
/// for is relative to it.
std::string base_path(const ServeOptions& options);

/// Is it the page's word of what is selected, which may be longer than other requests?
bool tells_selection(const ServeOptions& options, const httplib::Request& request);

/// Refuses requests under another host's name, by other methods, too large ones, ones without the token, and
/// for data ones of other sites' pages. Errors: Refusal.
void check_request(const ServeOptions& options, int port, const httplib::Request& request,
                   httplib::Response& response);

}  // namespace tomograph
