#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>

namespace tomograph {

struct HttpAnswer {
    long status = 0;
    std::map<std::string, std::string> headers;  ///< of the last answer; names in small letters
    std::string body;
};

/// What no other host than the first gets, as curl sees to.
struct HttpOptions {
    std::string token;  ///< sent as "Authorization: Bearer"; empty: none
    /// Tested while it runs; true ends it with Stopped.
    std::function<bool()> stop_requested = {};
};

/// The server could not be reached, or fell silent: trying again may help.
class Unreachable : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// GET with redirects followed; HEAD without. Errors: Stopped; Unreachable; Error for an address that is
/// none, or for a body above 64 MB.
HttpAnswer http_get(const std::string& url, const HttpOptions& options);
HttpAnswer http_head(const std::string& url, const HttpOptions& options);

/// GET into a file from where the file ends, redirects followed; a server that knows no ranges gives the
/// whole again, and the file begins anew. `update` hears how many bytes the file has. Returns the status: 200
/// and 206 are success; with any other the file is as it was. Errors: Stopped; Unreachable, what came is
/// kept; Error where the file cannot be written.
long http_download(const std::string& url, const std::filesystem::path& file, const HttpOptions& options,
                   const std::function<void(std::uint64_t)>& update);

}  // namespace tomograph
