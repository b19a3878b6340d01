#include "tomograph/model/workers.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ggml-backend.h>
#include <ggml-rpc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/model/llama_log.h"

namespace tomograph {
namespace {

constexpr int kPatience = 10;  // seconds for a worker to answer

constexpr const char* kStart = "start one there with tomograph worker, of the same release";

class Socket {
  public:
    Socket() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        if (descriptor_ < 0) throw Error("cannot open a socket", std::strerror(errno), "");
    }
    ~Socket() { ::close(descriptor_); }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    int get() const { return descriptor_; }

  private:
    int descriptor_;
};

sockaddr_in address_of(in_addr host, int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr = host;
    return address;
}

/// The host looked up, and HOST:PORT in numbers. llama.cpp names a worker's copies of values after its
/// address, in names of limited length: as numbers it is short.
std::pair<std::string, sockaddr_in> look_up(const WorkerAddress& worker) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    if (const int status = ::getaddrinfo(worker.host.c_str(), nullptr, &hints, &found); status != 0)
        throw Error("cannot find the worker " + worker.text(), ::gai_strerror(status), "");
    const in_addr address = reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr;
    ::freeaddrinfo(found);
    std::array<char, INET_ADDRSTRLEN> number{};
    ::inet_ntop(AF_INET, &address, number.data(), number.size());
    return {fmt::format("{}:{}", number.data(), worker.port), address_of(address, worker.port)};
}

bool receive(int socket, void* out, std::size_t size) {
    auto* at = static_cast<char*>(out);
    while (size > 0) {
        const ssize_t got = ::recv(socket, at, size, 0);
        if (got <= 0) return false;
        at += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

/// Greets as llama.cpp's own client does, which ends the process where the answer is not as it expects.
void greet(const std::string& text, const sockaddr_in& address) {
    const Socket socket;
    const timeval patience{kPatience, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw Error("cannot reach the worker " + text, std::strerror(errno), kStart);
    constexpr std::uint8_t kHello = 14;
    constexpr std::uint64_t kCapabilities = 24;  // none
    std::array<std::uint8_t, 1 + sizeof kCapabilities + kCapabilities> question{kHello};
    std::memcpy(question.data() + 1, &kCapabilities, sizeof kCapabilities);
    std::uint64_t size = 0;
    std::array<std::uint8_t, 4 + kCapabilities> answer{};  // version in three numbers
    if (::send(socket.get(), question.data(), question.size(), MSG_NOSIGNAL) != std::ssize(question) ||
        !receive(socket.get(), &size, sizeof size))
        throw Error(text + " does not answer as a worker", "",
                    "it may be busy with somebody else, or be something else");
    if (size != answer.size() || !receive(socket.get(), answer.data(), answer.size()))
        throw Error(text + " does not answer as a worker", "", kStart);
    if (answer[0] != RPC_PROTO_MAJOR_VERSION || answer[1] > RPC_PROTO_MINOR_VERSION)
        throw Error(
            fmt::format("the worker {} speaks version {}.{}.{}", text, answer[0], answer[1], answer[2]),
            fmt::format("this program speaks {}.{}.{}", RPC_PROTO_MAJOR_VERSION, RPC_PROTO_MINOR_VERSION,
                        RPC_PROTO_PATCH_VERSION),
            kStart);
}

std::vector<std::string>& in_use() {
    static std::vector<std::string> addresses;
    return addresses;
}

}  // namespace

std::string WorkerAddress::text() const {
    return fmt::format("{}:{}", host, port);
}

WorkerAddress parse_worker_address(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    WorkerAddress worker{text.substr(0, colon)};
    const char* end = text.data() + text.size();
    const char* begin = colon == std::string::npos ? end : text.data() + colon + 1;
    const auto [at, error] = std::from_chars(begin, end, worker.port);
    if (worker.host.empty() || error != std::errc() || at != end || worker.port < 1 || worker.port > 65535)
        throw Error("'" + text + "' is no address of a worker", "",
                    "write HOST:PORT, such as 127.0.0.1:50052");
    return worker;
}

void use_workers(const std::vector<WorkerAddress>& addresses) {
    start_llama();
    // What is sent to a worker that has gone must come back as an error and not end the process without a
    // word.
    if (!addresses.empty()) std::signal(SIGPIPE, SIG_IGN);
    std::vector<std::string>& used = in_use();
    for (const WorkerAddress& worker_address : addresses) {
        const std::string text = worker_address.text();
        const auto [name, address] = look_up(worker_address);
        if (std::find(used.begin(), used.end(), name) != used.end())
            throw Error("the worker " + text + " is named twice", "", "");
        if (used.size() == kMostWorkers)
            throw Error(fmt::format("more than {} workers", kMostWorkers), "llama.cpp knows no more", "");
        greet(text, address);
        ggml_backend_reg_t worker = ggml_backend_rpc_add_server(name.c_str());
        if (worker == nullptr) throw Error("the worker " + text + " has nothing to compute with", "", "");
        ggml_backend_register(worker);
        used.push_back(name);
    }
}

const std::vector<std::string>& workers() {
    return in_use();
}

void serve_worker(const std::string& host, int port, int threads) {
    start_llama();
    in_addr numeric{};
    if (::inet_pton(AF_INET, host.c_str(), &numeric) != 1)
        throw Error("cannot listen on '" + host + "'", "it is no numeric IPv4 address",
                    "give one of this machine's, such as 127.0.0.1");
    const std::string place = fmt::format("{}:{}", host, port);
    {
        const Socket trial;
        const int again = 1;
        ::setsockopt(trial.get(), SOL_SOCKET, SO_REUSEADDR, &again, sizeof again);
        const sockaddr_in address = address_of(numeric, port);
        if (::bind(trial.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw Error("cannot listen on " + place, std::strerror(errno), "choose another --port");
    }
    std::vector<ggml_backend_dev_t> devices;
    for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        ggml_backend_dev_t device = ggml_backend_dev_get(i);
        if (ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_GPU) devices.push_back(device);
    }
    if (devices.empty()) devices.push_back(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
    ggml_backend_rpc_start_server(place.c_str(), nullptr,
                                  static_cast<std::size_t>(startable_threads(thread_count(threads))),
                                  devices.size(), devices.data());
    throw Error("the worker on " + place + " could not go on", last_llama_error(), "");
}

}  // namespace tomograph
