// Requests to the viewer's server, over loopback. PORT in an input stands for the server's own.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "fuzz.h"
#include "support/run_folder.h"
#include "tomograph/maps/projection.h"
#include "tomograph/serve/server.h"

namespace tomograph::fuzz {
namespace {

class Served {
  public:
    Served() {
        test::RunSketch{.labels = {"a<b"}}.write(folder_ / "run");
        const Run run = Run::open(folder_ / "run");
        save_projection(run, project_pca(run, "pair", {}, no_progress()));
        catalog_ = std::make_unique<Catalog>(std::vector{folder_ / "run"});
        server_ = std::make_unique<ViewServer>(
            *catalog_, ServeOptions{.limits = {.pca_rows = 100, .umap_rows = 50, .threads = 1}});
        server_->bind();
        thread_ = std::thread([this] { server_->run(); });
    }
    ~Served() {
        server_->stop();
        thread_.join();
    }
    std::string port() const { return std::to_string(server_->port()); }

    /// All that the server answers to these bytes, after which nothing more comes.
    std::string answer(const std::string& request) const {
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(server_->port()));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("the server does not listen any more");
        // It may refuse and close before it has read all.
        (void)::send(socket, request.data(), request.size(), MSG_NOSIGNAL);
        ::shutdown(socket, SHUT_WR);
        std::string answer;
        std::array<char, 4096> bytes;
        for (ssize_t n; (n = ::recv(socket, bytes.data(), bytes.size(), 0)) > 0;)
            answer.append(bytes.data(), static_cast<std::size_t>(n));
        ::close(socket);
        return answer;
    }

  private:
    test::TempFolder folder_;
    std::unique_ptr<Catalog> catalog_;
    std::unique_ptr<ViewServer> server_;
    std::thread thread_;
};

const Served& served() {
    static const Served served;
    return served;
}

std::string with_port(std::string input) {
    const std::string port = served().port();
    for (std::size_t at = 0; (at = input.find("PORT", at)) != std::string::npos; at += port.size())
        input.replace(at, 4, port);
    return input;
}

}  // namespace

std::vector<std::string> good_inputs() {
    std::vector<std::string> inputs;
    for (const char* path :
         {"/", "/viewer.css", "/api/manifest", "/api/runs/0/tokens", "/api/runs/0/tokens/token_id",
          "/api/runs/0/vocabulary", "/api/runs/0/norms/mlp_out", "/api/runs/0/projections/pair",
          "/api/runs/0/projections/pair/axis0", "/api/runs/0/projections/pair/nearest?row=1&k=3"})
        inputs.push_back("GET " + std::string(path) +
                         " HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nRange: bytes=0-7\r\nCookie: a=b; c=d\r\n\r\n");
    const std::string body = R"({"name": "x", "method": "pca", "dims": 2, "selection": {"layers": "0:2"}})";
    inputs.push_back(
        "POST /api/jobs HTTP/1.1\r\nHost: localhost:PORT\r\nOrigin: http://localhost:PORT\r\n"
        "Content-Type: application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
    return inputs;
}

std::string parse(const std::string& input) {
    const std::string answer = served().answer(with_port(input));
    if (answer.empty()) return "closed without an answer";
    constexpr std::string_view kVersion = "HTTP/1.1 ";
    if (!answer.starts_with(kVersion)) throw std::logic_error("an answer that is not HTTP");
    const std::string status = answer.substr(kVersion.size(), 3);
    if (status == "500") throw std::logic_error("a request ended in an exception that nobody expected");
    if (status < "400") return "";
    // What comes after the body answers what the input has after its first request.
    const std::size_t body = answer.find("\r\n\r\n");
    if (body == std::string::npos) return status;
    const std::size_t length = answer.find("Content-Length: ");
    return status + " " +
           answer.substr(body + 4, length < body ? std::strtoull(&answer[length + 16], nullptr, 10) : 0);
}

}  // namespace tomograph::fuzz
