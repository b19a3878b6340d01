#include "tomograph/serve/guard.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string_view>

namespace tomograph {
namespace {

using Request = httplib::Request;
using Response = httplib::Response;

constexpr std::size_t kLargestQuery = 2048;

bool is_address(const std::string& host) {
    unsigned char bytes[16];
    return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

/// "[::1]:80" and "host:80" without brackets and port.
std::string host_name(const std::string& field) {
    if (field.starts_with('[')) return field.substr(1, field.find(']') - 1);
    return field.substr(0, field.find(':'));
}

/// Time does not tell how much of a guess was right.
bool equal_secrets(const std::string& a, const std::string& b) {
    unsigned char difference = a.size() == b.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        difference |= static_cast<unsigned char>(a[i] ^ b[i]);
    return difference == 0;
}

std::string cookie(const Request& request, const std::string& name) {
    const std::string header = request.get_header_value("Cookie");
    for (std::size_t begin = 0; begin < header.size();) {
        const std::size_t end = std::min(header.find(';', begin), header.size());
        std::string_view part(header.data() + begin, end - begin);
        while (part.starts_with(' ')) part.remove_prefix(1);
        if (part.starts_with(name + "=")) return std::string(part.substr(name.size() + 1));
        begin = end + 1;
    }
    return {};
}

bool host_allowed(const ServeOptions& options, int port, const Request& request) {
    if (request.get_header_value_count("Host") != 1) return false;
    const std::string field = request.get_header_value("Host");
    const std::string host = host_name(field);
    if (is_loopback(options.host)) {
        return field == fmt::format("127.0.0.1:{}", port) || field == fmt::format("localhost:{}", port) ||
               field == fmt::format("[::1]:{}", port) || field == fmt::format("{}:{}", options.host, port);
    }
    return host == options.host || host == "localhost" || is_address(host);
}

/// Pages of other sites can send simple requests, read or not: none of them may start anything.
void check_origin(const Request& request) {
    const std::string origin = request.get_header_value("Origin");
    if (!origin.empty() && origin != "http://" + request.get_header_value("Host"))
        throw Refusal{403, "requests from other sites are refused"};
    const std::string site = request.get_header_value("Sec-Fetch-Site");
    if (!site.empty() && site != "same-origin" && site != "none")
        throw Refusal{403, "requests from other sites are refused"};
}

/// Errors: Refusal without the token, which the address carries, or else a cookie that it became.
void check_token(const ServeOptions& options, int port, const Request& request, Response& response) {
    constexpr const char* kWrong =
        "the token is missing or wrong; open the address that tomograph view printed";
    if (options.framed) {
        if (!request.path.starts_with('/')) throw Refusal{403, kWrong};
        const std::string first = request.path.substr(1, request.path.find('/', 1) - 1);
        if (!equal_secrets(first, options.token)) throw Refusal{403, kWrong};
        return;
    }
    const std::string name = fmt::format("tomograph-{}", port);
    const bool by_url =
        request.has_param("token") && equal_secrets(request.get_param_value("token"), options.token);
    if (!by_url && !equal_secrets(cookie(request, name), options.token)) throw Refusal{403, kWrong};
    if (by_url)
        response.set_header("Set-Cookie",
                            fmt::format("{}={}; HttpOnly; SameSite=Strict; Path=/", name, options.token));
}

}  // namespace

const char* line_of(int status) {
    switch (status) {
        case 404:
            return "there is nothing here";
        case 405:
            return "this can be read (GET), projections asked for (POST) and cancelled (DELETE), nothing "
                   "else";
        case 413:
            return "the request is too large";
        case 414:
            return "the address is too long";
        case 415:
            return "the request's type or encoding is not one that is read here";
        case 416:
            return "there is no such range";
        default:
            return status < 500 ? "this is no request that can be read" : "the server failed";
    }
}

bool is_loopback(const std::string& host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::string make_token() {
    std::random_device device;
    std::string token;
    for (int i = 0; i < 4; ++i) token += fmt::format("{:08x}", device());
    return token;
}

std::string base_path(const ServeOptions& options) {
    return options.framed && !options.token.empty() ? "/" + options.token : "";
}

bool tells_selection(const ServeOptions& options, const Request& request) {
    return options.selected && request.method == "POST" && request.path.ends_with("/selection");
}

void check_request(const ServeOptions& options, int port, const Request& request, Response& response) {
    if (!host_allowed(options, port, request))
        throw Refusal{403, "this server answers only under its own name"};
    const std::string& method = request.method;
    if (method != "GET" && method != "HEAD" && method != "POST" && method != "DELETE") {
        response.set_header("Allow", "GET, HEAD, POST, DELETE");
        throw Refusal{405, line_of(405)};
    }
    // Said before it is read: a client may announce terabytes.
    if (request.get_header_value_u64("Content-Length") >
        (tells_selection(options, request) ? kLargestSelection : kLargestBody))
        throw Refusal{413, line_of(413)};
    const std::size_t query = request.target.find('?');
    if (query != std::string::npos && request.target.size() - query > kLargestQuery)
        throw Refusal{414, "the query is too long"};
    if (!options.token.empty()) check_token(options, port, request, response);
    if (request.path.starts_with(base_path(options) + "/api/")) check_origin(request);
}

}  // namespace tomograph
